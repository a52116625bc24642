"""Forward, backward and AdamW with transformers and PyTorch: padded batches, scaled-dot-product attention.

Accepts the requests of bench/trainer_worker.cc. A policy update runs every sequence with its whole prompt, like trainers
based on transformers, in micro-batches of 8 sequences, and computes only the logits of response positions. Format bfloat16:
f32 weights under autocast, which computes the products of layers, head and attention in bf16.
"""

import peer_trainer


def load(options):
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(options["threads"])
    if "shape" in options:
        model = LlamaForCausalLM(LlamaConfig(**options["shape"], attn_implementation="sdpa"))
    else:
        model = AutoModelForCausalLM.from_pretrained(options["model"], dtype=torch.float32, attn_implementation="sdpa")
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-9, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    vocab = model.config.vocab_size
    autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=options["format"] == "bfloat16")

    def finish():
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def supervised(sequences, length):
        ids = torch.randint(0, vocab, (sequences, length))
        with autocast:
            loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        finish()
        return sequences * length

    def update(groups, samples, prompt, response):
        prompts = torch.randint(0, vocab, (groups, prompt)).repeat_interleave(samples, 0)
        ids = torch.cat([prompts, torch.randint(0, vocab, (groups * samples, response))], 1)
        rewards = torch.arange(groups * samples).float() % 2 - 0.5
        for begin in range(0, len(ids), 8):
            part, targets = ids[begin:begin + 8], ids[begin:begin + 8, prompt:]
            with autocast:
                logits = model(input_ids=part, use_cache=False, logits_to_keep=response + 1).logits[:, :-1]
            chosen = torch.log_softmax(logits.float(), -1).gather(-1, targets[..., None])[..., 0]
            (-(rewards[begin:begin + 8, None] * chosen).sum() / len(ids)).backward()
        finish()
        return groups * samples * response

    return supervised, update


peer_trainer.serve(load, "transformers")
