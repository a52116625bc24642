import peer


def load(options):
    import llama_cpp as llama

    llama.llama_backend_init()
    model = llama.llama_model_load_from_file(options["model"].encode(), llama.llama_model_default_params())
    context_params = llama.llama_context_default_params()
    samples, prompt, response = options["most_samples"], options["most_prompt"], options["most_response"]
    context_params.n_ctx = prompt + samples * (response + 8) + 256
    context_params.n_batch, context_params.n_ubatch = 2048, 512
    context_params.n_seq_max = samples
    context_params.n_threads = context_params.n_threads_batch = options["threads"]
    context_params.kv_unified = True  # the prompt's cells are shared by all samples
    context = llama.llama_init_from_model(model, context_params)
    batch = llama.llama_batch_init(2048, 0, samples)
    sampler = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
    llama.llama_sampler_chain_add(sampler, llama.llama_sampler_init_temp(1.0))
    llama.llama_sampler_chain_add(sampler, llama.llama_sampler_init_dist(1))

    def decode(rows):
        batch.n_tokens = len(rows)
        for i, (token, position, sequences, wanted) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, position, len(sequences), wanted
            for j, s in enumerate(sequences):
                batch.seq_id[i][j] = s
        if llama.llama_decode(context, batch) != 0:
            raise RuntimeError("llama_decode failed")

    def generate(samples, prompt, response):
        llama.llama_memory_clear(llama.llama_get_memory(context), True)
        everyone = list(range(samples))
        decode([(t, i, everyone, i == len(prompt) - 1) for i, t in enumerate(prompt)])
        tokens = [llama.llama_sampler_sample(sampler, context, len(prompt) - 1) for _ in everyone]
        count = samples
        for position in range(len(prompt), len(prompt) + response - 1):
            decode([(tokens[i], position, [i], True) for i in everyone])
            tokens = [llama.llama_sampler_sample(sampler, context, i) for i in everyone]
            count += samples
        return count

    return generate


peer.serve(load, "llama-cpp-python")
