import peer


def load(options):
    import numpy as np
    import openvino as ov
    import openvino_genai as genai

    scheduler = genai.SchedulerConfig()
    scheduler.cache_size = 4  # GB
    scheduler.max_num_seqs = 256
    scheduler.max_num_batched_tokens = 4096
    properties = {"INFERENCE_NUM_THREADS": options["threads"], "PERFORMANCE_HINT": "LATENCY"}
    if options["format"] == "float32":  # OpenVINO uses bf16 by default where the CPU supports it
        properties["INFERENCE_PRECISION_HINT"] = "f32"
    if options["kv"]:
        properties["KV_CACHE_PRECISION"] = {"float32": "f32", "bfloat16": "bf16", "int8": "u8"}[options["kv"]]
    pipeline = genai.ContinuousBatchingPipeline(options["model"], scheduler, "CPU", properties)

    def generate(samples, prompt, response):
        config = genai.GenerationConfig()
        config.max_new_tokens = config.min_new_tokens = response
        config.ignore_eos = True
        config.do_sample = True
        config.temperature = config.top_p = 1.0
        config.num_return_sequences = samples
        results = pipeline.generate([ov.Tensor(np.array([prompt], dtype=np.int64))], [config])
        return sum(len(ids) for ids in results[0].m_generation_ids)

    return generate


peer.serve(load, "openvino-genai")
