import json

import peer


def load(options):
    import ctranslate2

    generator = ctranslate2.Generator(options["model"], device="cpu", compute_type=options["format"],
                                      inter_threads=1, intra_threads=options["threads"])
    with open(options["model"] + "/vocabulary.json") as file:
        vocabulary = json.load(file)

    def generate(samples, prompt, response):
        tokens = [vocabulary[i] for i in prompt]
        results = generator.generate_batch([tokens] * samples, max_length=response, min_length=response,
                                           sampling_temperature=1.0, sampling_topk=0, sampling_topp=1.0, beam_size=1,
                                           include_prompt_in_result=False)
        return sum(len(r.sequences_ids[0]) for r in results)

    return generate


peer.serve(load, "ctranslate2")
