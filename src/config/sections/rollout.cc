#include "config/sections/rollout.h"

#include "base/settings/checks.h"

namespace longshot::config {
namespace {

void bind_repetition(Settings& s, rollout::RepetitionOptions& o) {
  s.add("rollout.repetition.enabled", &o.enabled, "end looping samples early");
  s.add("rollout.repetition.max_period", &o.max_period, "tokens of the repeated block",
        at_least(1));
  s.add("rollout.repetition.min_repeats", &o.min_repeats, "repeats that make a loop", at_least(2));
  s.add("rollout.repetition.min_tokens", &o.min_tokens, "tokens the repeats must cover together",
        at_least(2));
}

}  // namespace

void bind_sampling(Settings& s, rollout::SamplingOptions& o, Greedy greedy) {
  if (greedy == Greedy::allowed) {
    s.add("rollout.temperature", &o.temperature, "sampling temperature; 0 = greedy", at_least(0.0));
  } else {
    s.add("rollout.temperature", &o.temperature, "sampling temperature", above(0));
  }
  s.add("rollout.top_p", &o.top_p, "only the fewest tokens with this probability together; 1 = off",
        within(1e-6, 1));
  s.add("rollout.top_k", &o.top_k, "only this many most probable tokens; 0 = off", at_least(0));
  s.add("rollout.min_p", &o.min_p,
        "only tokens of at least this share of the largest probability; 0 = off", within(0, 1));
  s.add("rollout.stop", &o.stop_strings, "texts that end a response",
        no_empty_string("has an empty stop string, which would end every sample at once"));
}

void bind_formats(Settings& s, NumberFormat& dtype, NumberFormat& kv_dtype) {
  s.add("rollout.dtype", &dtype,
        "number format of the weights that generate; docs/number-formats.md");
  s.add("rollout.kv_dtype", &kv_dtype, "number format of the KV cache",
        {NumberFormat::f32, NumberFormat::bf16, NumberFormat::int8});
}

void bind_runner(Settings& s, rollout::RunnerKind& runner) {
  s.add("rollout.engine", &runner, "cpu = own kernels, torch = generic; auto = cpu on a CPU");
}

void bind_speculation(Settings& s, rollout::Speculation& speculation) {
  s.add("rollout.speculation", &speculation,
        "ngram: feed guesses of the next tokens where that is faster, with the same samples; "
        "docs/speculation.md");
}

void bind_concurrency(Settings& s, int& max_concurrent) {
  s.add("rollout.max_concurrent", &max_concurrent, "samples in flight", at_least(1));
}

void bind_kv_blocks(Settings& s, int& kv_blocks) {
  s.add("rollout.kv_blocks", &kv_blocks,
        "KV memory in blocks of 16 tokens; 0 = enough for max_concurrent of the longest samples",
        at_least(0));
}

void bind(Settings& s, RolloutOptions& o) {
  s.add("rollout.n", &o.n, "samples per prompt (the group)", at_least(1));
  bind_sampling(s, o.engine.sampling, Greedy::refused);
  s.add("rollout.token_budget", &o.engine.token_budget,
        "output tokens per iteration; unfinished samples continue in the next one; 0 = no budget",
        at_least(int64_t{0}));
  s.add("rollout.segment_tokens", &o.engine.segment_tokens,
        "output tokens of each sample per iteration; a longer one continues in the next iteration; "
        "0 = no cap",
        at_least(0));
  bind_runner(s, o.runner);
  bind_formats(s, o.dtype, o.kv_dtype);
  bind_kv_blocks(s, o.kv_blocks);
  bind_speculation(s, o.engine.speculation);
  bind_concurrency(s, o.max_concurrent);
  s.add("rollout.workers", &o.workers,
        "engines that generate independently, each with its share of threads, samples in flight, "
        "KV memory and "
        "token budget and with weights of its own; 1 unless the machine has several sockets",
        at_least(1));
  bind_repetition(s, o.engine.repetition);
}

Status validate(const RolloutOptions& o, const MachineOptions& machine) {
  if (o.runner == rollout::RunnerKind::cpu && !machine.is_cpu())
    return invalid_argument("rollout.engine=cpu needs trainer.device=cpu");
  if (rollout::uses_cpu_kernels(o.runner, machine.device)) return ok_status();
  if (o.dtype != NumberFormat::f32 || o.kv_dtype != NumberFormat::f32) {
    return invalid_argument(
        "rollout.dtype and rollout.kv_dtype other than float32 need the CPU kernels: "
        "rollout.engine=cpu and trainer.device=cpu");
  }
  if (o.workers > 1) {
    return invalid_argument(
        "rollout.workers above 1 needs the CPU kernels: rollout.engine=cpu and trainer.device=cpu");
  }
  return ok_status();
}

}  // namespace longshot::config
