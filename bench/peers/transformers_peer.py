import peer


def load(options):
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(options["threads"])
    if "shape" in options:
        model = LlamaForCausalLM(LlamaConfig(**options["shape"], attn_implementation="sdpa"))
    else:
        model = AutoModelForCausalLM.from_pretrained(options["model"], dtype=torch.float32, attn_implementation="sdpa")
    model.eval()
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0

    @torch.inference_mode()
    def generate(samples, prompt, response):
        ids = torch.tensor([prompt])
        out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=True, temperature=1.0, top_k=0,
                             top_p=1.0, num_return_sequences=samples, max_new_tokens=response, min_new_tokens=response)
        return out.shape[0] * (out.shape[1] - len(prompt))

    return generate


peer.serve(load, "transformers")
