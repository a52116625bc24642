#include "train/policy/update.h"

#include <algorithm>
#include <cmath>

#include "base/bytes.h"
#include "base/log.h"
#include "base/os/clock.h"
#include "base/rng.h"
#include "train/loss/kl_penalty.h"
#include "train/pass/lane_cut.h"
#include "train/pass/packing.h"
#include "train/policy/reference.h"
#include "train/shard/gather_rows.h"
#include "train/shard/gradient_tree.h"

namespace longshot::train {
namespace {

std::vector<double> logprobs_of(const MicroBatch& micro, size_t r,
                                const model::TokenLogprobs& out) {
  const auto values = micro.of_row(r, std::span(out.logprobs));
  return {values.begin(), values.end()};
}

void warn_if_empty(const UpdateBatch& batch, int64_t iteration) {
  if (!batch.groups.empty()) return;
  if (batch.masked == 0) {
    log::warn("iteration {}: no sample to train on", iteration + 1);
    return;
  }
  log::warn(
      "iteration {}: no sample to train on, because algorithm.mask_truncated leaves out all {} "
      "judged responses, which were cut; raise data.max_response_length",
      iteration + 1, batch.masked);
}

}  // namespace

Result<Metrics> Update::run(const std::vector<data::Group>& groups, const UpdateKey& key) {
  const Stopwatch watch;
  objective_ = make_objective(p_.algorithm);
  LS_ASSIGN_OR_RETURN(batch_, make_update_batch(groups, p_.algorithm, key.version));
  LS_RETURN_IF_ERROR(compute_references());
  const std::vector<double> penalties = reward_penalties();
  set_advantages(p_.algorithm, penalties, batch_);
  warn_if_empty(batch_, key.iteration);
  if (p_.algorithm.reset_optimizer) p_.model.optimizer().reset();
  for (const double a : batch_.advantages) stats_.advantage.add(a);
  LS_RETURN_IF_ERROR(all_steps(key));
  const LaneStats rows = sum_of(lanes_);
  Metrics metrics;
  batch_.set.report(metrics);
  if (p_.algorithm.mask_truncated)
    metrics["actor/masked_samples"] = static_cast<double>(batch_.masked);
  Summary penalty;
  for (const double value : penalties) penalty.add(value);
  if (!penalties.empty()) metrics["actor/reward_kl_penalty"] = penalty.mean();
  stats_.report(rows, objective_, watch.seconds(), metrics);
  p_.model.report_cost(rows.passes.flops, watch.seconds(), metrics);
  if (p_.kl_model != nullptr)
    metrics["memory/kl_model_gb"] = p_.kl_model->bytes_beside(p_.model.weights()) / kGiB;
  return metrics;
}

Status Update::all_steps(const UpdateKey& key) {
  const uint64_t base = hash_combine(key.seed, static_cast<uint64_t>(key.iteration));
  for (int epoch = 0; epoch < p_.algorithm.epochs; ++epoch) {
    const uint64_t epoch_key = hash_combine(base, static_cast<uint64_t>(epoch));
    const auto parts = random_parts(batch_.groups.size(), p_.algorithm.mini_batches, epoch_key);
    for (const auto& part : parts) {
      std::vector<size_t> rows;
      for (const size_t g : part)
        rows.insert(rows.end(), batch_.groups[g].begin(), batch_.groups[g].end());
      LS_RETURN_IF_ERROR(mini_batch_step(rows));
    }
    // The learning rate's schedule counts a step of each mini-batch, also of one without a group.
    for (auto i = static_cast<int>(parts.size()); i < p_.algorithm.mini_batches; ++i)
      p_.model.optimizer().pass_step();
  }
  return ok_status();
}

// Runs passes over the rows whose reference is not recorded, and over all rows for a fixed
// reference model.
Status Update::compute_references() {
  // A single step computes the reference in its own forward pass.
  const bool later_steps = p_.algorithm.mini_batches * p_.algorithm.epochs > 1;
  std::vector<size_t> all, unrecorded;
  for (size_t i = 0; i < batch_.set.rows.size(); ++i) {
    all.push_back(i);
    if (!all_recorded(batch_.set.rows[i], p_.algorithm.reference)) unrecorded.push_back(i);
  }
  if ((objective_.reads_reference && later_steps) || has_reward_penalty())
    LS_RETURN_IF_ERROR(logprobs(unrecorded, p_.model.compute(), batch_.start));
  if (p_.kl_model != nullptr && p_.algorithm.kl_coef > 0)
    LS_RETURN_IF_ERROR(logprobs(all, p_.kl_model->compute(), batch_.kl_model));
  return ok_status();
}

bool Update::has_reward_penalty() const {
  return p_.kl_model != nullptr && p_.algorithm.kl_coef > 0 &&
         p_.algorithm.kl_place == KlPlace::reward;
}

// The policy of a penalty is that of the start of the iteration, which a recorded number may stand
// for. Where both models give the same up to rounding, there is no penalty.
std::vector<double> Update::reward_penalties() const {
  std::vector<double> out;
  if (!has_reward_penalty()) return out;
  for (size_t i = 0; i < batch_.set.rows.size(); ++i) {
    const std::vector<double> policy =
        batch_.start[i].empty() ? recorded_logprobs(batch_.set.rows[i]) : batch_.start[i];
    const std::vector<double> fixed = without_rounding(batch_.kl_model[i], policy);
    out.push_back(p_.algorithm.kl_coef * kl_sum(p_.algorithm.kl_estimator, policy, fixed));
  }
  return out;
}

Status Update::logprobs(const std::vector<size_t>& rows, model::Compute& compute,
                        std::vector<std::vector<double>>& out) {
  const bool share = compute.pass_size(pass_options().micro_batch_tokens).share_prompts;
  auto parts = cut_into_lanes(pass_rows(rows), p_.model.lanes().count, share);
  for (auto& part : parts)
    for (size_t& i : part) i = rows[i];
  for (int i = 0; i < p_.model.lanes().own(); ++i) {
    const auto lane = static_cast<size_t>(p_.model.lanes().first_own() + i);
    lane_logprobs(parts[lane], compute, lanes_[lane], out);
  }
  const auto targets = [&](size_t row) { return target_count(pass_row(row)); };
  return gather_rows(p_.model.lanes(), parts, targets, out);
}

void Update::lane_logprobs(const std::vector<size_t>& rows, model::Compute& compute,
                           LaneStats& lane, std::vector<std::vector<double>>& out) {
  const PassTotals totals =
      forward_passes(compute, pass_rows(rows), pass_options(),
                     [&](const MicroBatch& micro, const model::TokenLogprobs& computed) {
                       for (size_t r = 0; r < micro.rows.size(); ++r)
                         out[rows[micro.rows[r]]] = logprobs_of(micro, r, computed);
                     });
  lane.reference_tokens += totals.packed_tokens;
}

PassOptions Update::pass_options() const {
  return {.micro_batch_tokens = p_.algorithm.micro_batch_tokens,
          .temperature = p_.algorithm.temperature};
}

PassRow Update::pass_row(size_t row) const {
  const data::TrainRow& r = batch_.set.rows[row];
  return {r.tokens, r.loss_mask, r.prompt_length};
}

std::vector<PassRow> Update::pass_rows(const std::vector<size_t>& rows) const {
  std::vector<PassRow> inputs;
  for (const size_t row : rows) inputs.push_back(pass_row(row));
  return inputs;
}

RowTerms Update::terms(size_t row) const {
  return {batch_.set.rows[row], batch_.advantages[row], batch_.kl_model[row]};
}

Status Update::mini_batch_step(const std::vector<size_t>& rows) {
  p_.model.weights().zero_grad();
  LS_RETURN_IF_ERROR(accumulate(rows));
  const LaneStats sum = sum_of(lanes_);
  stats_.loss.add(sum.step_loss + sum.step_entropy);
  stats_.entropy_loss.add(sum.step_entropy);
  stats_.kl_loss.add(sum.step_kl);
  stats_.policy_loss.add(sum.step_loss - sum.step_kl);
  if (!sum.any_gradient) {
    ++stats_.flat;
    p_.model.optimizer().pass_step();
    return ok_status();
  }
  LS_ASSIGN_OR_RETURN(const AdamW::StepOutcome step, p_.model.optimizer().step(p_.model.weights()));
  ++stats_.steps;
  stats_.skipped += step.skipped;
  stats_.lr = step.lr;
  if (!step.skipped) stats_.grad_norm.add(step.grad_norm);
  return ok_status();
}

bool Update::may_skip(size_t row) const {
  return unchanged() && is_flat(terms(row), objective_, p_.algorithm.reference);
}

std::vector<double> Update::row_weights(const std::vector<size_t>& rows) const {
  std::vector<int64_t> group, tokens;
  for (const size_t i : rows) {
    group.push_back(batch_.set.rows[i].group);
    tokens.push_back(target_count(pass_row(i)));
  }
  return p_.algorithm.length_normalize == LengthNormalize::tokens ? token_weights(tokens)
                                                                  : response_weights(group);
}

std::vector<std::vector<Update::WeightedRow>> Update::cut(const std::vector<size_t>& rows) const {
  const std::vector<double> weight = row_weights(rows);
  std::vector<size_t> computed, skipped;  // indices into `rows`
  for (size_t i = 0; i < rows.size(); ++i) (may_skip(rows[i]) ? skipped : computed).push_back(i);
  const bool share = p_.model.compute().pass_size(pass_options().micro_batch_tokens).share_prompts;
  std::vector<std::vector<size_t>> parts(lanes_.size());
  for (const auto& kind : {computed, skipped}) {
    std::vector<size_t> own;
    for (const size_t i : kind) own.push_back(rows[i]);
    const auto cut = cut_into_lanes(pass_rows(own), p_.model.lanes().count, share);
    for (size_t lane = 0; lane < cut.size(); ++lane)
      for (const size_t i : cut[lane]) parts[lane].push_back(kind[i]);
  }
  std::vector<std::vector<WeightedRow>> out(parts.size());
  for (size_t lane = 0; lane < parts.size(); ++lane) {
    std::ranges::sort(parts[lane]);
    for (const size_t i : parts[lane]) out[lane].push_back({rows[i], weight[i]});
  }
  return out;
}

Status Update::accumulate(const std::vector<size_t>& rows) {
  const auto parts = cut(rows);
  GradientTree tree;
  for (LaneStats& lane : lanes_) lane.begin_step();
  for (int i = 0; i < p_.model.lanes().own(); ++i) {
    const auto lane = static_cast<size_t>(p_.model.lanes().first_own() + i);
    lanes_[lane].any_gradient = accumulate_lane(parts[lane], lanes_[lane]);
    tree.take_lane(p_.model.weights());
  }
  tree.finish(p_.model.weights());
  return gather_values(*p_.model.lanes().gang, std::span(lanes_), "the losses of a step");
}

// Skips rows whose gradient must be zero when current and recorded log-probabilities agree. If the
// computed rows of the lane show that they do not agree, the skipped rows are computed after all.
// At least one row is computed before any is skipped, so that the agreement has been checked.
bool Update::accumulate_lane(const std::vector<WeightedRow>& rows, LaneStats& lane) {
  std::vector<WeightedRow> first, flat;
  for (const WeightedRow& weighted : rows)
    (lane.as_recorded && may_skip(weighted.row) ? flat : first).push_back(weighted);
  if (first.empty() && !flat.empty() && lane.difference.count() == 0) {
    first.push_back(flat.back());
    flat.pop_back();
  }
  bool any_gradient = accumulate_rows(first, lane);
  if (lane.as_recorded) {
    lane.flat_samples += static_cast<int64_t>(flat.size());
  } else {
    any_gradient = accumulate_rows(flat, lane) || any_gradient;
  }
  return any_gradient;
}

std::vector<float> Update::expected_gradient(const std::vector<WeightedRow>& rows,
                                             const MicroBatch& micro, const LaneStats& lane) const {
  if (!unchanged() || !lane.as_recorded) return {};
  std::vector<float> out;
  for (const size_t r : micro.rows) {
    const std::vector<double> grad =
        predicted_gradient(terms(rows[r].row), objective_, p_.algorithm.reference);
    if (grad.empty()) return {};
    for (const double g : grad) out.push_back(static_cast<float>(rows[r].weight * g));
  }
  return out;
}

bool Update::accumulate_rows(const std::vector<WeightedRow>& rows, LaneStats& lane) {
  std::vector<PassRow> inputs;
  for (const WeightedRow& weighted : rows) inputs.push_back(pass_row(weighted.row));
  PassOptions options = pass_options();
  options.with_entropy = unchanged() || objective_.entropy_coef != 0;
  PassLoss loss{
      .expected = [&](const MicroBatch& micro) { return expected_gradient(rows, micro, lane); },
      .gradient =
          [&](const MicroBatch& micro, const model::TokenLogprobs& out, std::span<float> grad) {
            for (size_t r = 0; r < micro.rows.size(); ++r)
              row_gradient(rows[micro.rows[r]], logprobs_of(micro, r, out), micro.of_row(r, grad),
                           lane);
            if (unchanged())
              for (const float e : out.entropy) lane.entropy.add(e);
          }};
  if (objective_.entropy_coef != 0) {
    loss.entropy_gradient = [&](const MicroBatch& micro, const model::TokenLogprobs& out,
                                std::span<float> grad) {
      entropy_gradient(rows, micro, out, grad, lane);
    };
  }
  return add_gradients(p_.model.compute(), inputs, options, loss, lane.passes);
}

void Update::row_gradient(const WeightedRow& weighted, const std::vector<double>& present,
                          std::span<float> grad, LaneStats& lane) {
  const data::TrainRow& row = batch_.set.rows[weighted.row];
  if (unchanged()) compare(row, present, lane);
  // After the first step, `saved` is empty if every reference log-probability of the row is a
  // recorded one, or if the objective does not read the reference. Recorded values are correct for
  // the former and only enter the KL metrics for the latter.
  const std::vector<double>& saved = batch_.start[weighted.row];
  const bool start_is_known = unchanged() || !saved.empty();
  const std::vector<double> recorded = recorded_logprobs(row);
  const std::vector<double> reference =
      start_is_known ? reference_logprobs(row, unchanged() ? present : saved,
                                          p_.algorithm.reference, unchanged())
                     : recorded;
  lane.kl.add(present, reference);
  // In the first iteration the fixed model may be the policy itself.
  std::vector<double> kl = batch_.kl_model[weighted.row];
  if (unchanged()) kl = without_rounding(kl, present);
  // Weights of tokens correct differences, not rounding.
  const std::vector<double> drawn =
      objective_.weighs_tokens() ? without_rounding(recorded, reference) : recorded;
  std::vector<double> row_grad(present.size());
  const ResponseLoss out =
      objective_({present, reference, batch_.advantages[weighted.row], kl, drawn}, row_grad);
  for (size_t t = 0; t < row_grad.size(); ++t)
    grad[t] = static_cast<float>(weighted.weight * row_grad[t]);
  lane.step_loss += weighted.weight * out.loss;
  lane.step_kl += weighted.weight * out.kl;
  lane.clipped += out.clipped;
  lane.rollout_weights += out.rollout_weights;
  lane.limited_weights += out.limited_weights;
}

void Update::entropy_gradient(const std::vector<WeightedRow>& rows, const MicroBatch& micro,
                              const model::TokenLogprobs& out, std::span<float> grad,
                              LaneStats& lane) {
  for (size_t r = 0; r < micro.rows.size(); ++r) {
    const WeightedRow& weighted = rows[micro.rows[r]];
    const auto entropies = micro.of_row(r, std::span(out.entropy));
    const double factor =
        -weighted.weight * objective_.scale(entropies.size()) * objective_.entropy_coef;
    for (const float e : entropies) lane.step_entropy += factor * e;
    std::ranges::fill(micro.of_row(r, grad), static_cast<float>(factor));
  }
}

void Update::compare_engines(const data::TrainRow& row, const std::vector<double>& present,
                             LaneStats& lane) {
  size_t t = 0;  // target
  for (const data::Segment& segment : row.segments) {
    for (int i = std::max(1, segment.begin); i < segment.end; ++i) {
      const auto at = static_cast<size_t>(i);
      if (!row.loss_mask[at]) continue;
      const double gap = std::abs(present[t++] - static_cast<double>(row.logprobs[at]));
      if (row.fresh[at]) lane.difference_of[static_cast<size_t>(segment.engine)].add(gap);
    }
  }
}

// The recorded log-probability of a fresh token should equal the current one.
void Update::compare(const data::TrainRow& row, const std::vector<double>& present,
                     LaneStats& lane) {
  const std::vector<double> recorded = recorded_logprobs(row);
  const std::vector<uint8_t> fresh = fresh_targets(row);
  for (size_t t = 0; t < present.size(); ++t) {
    if (fresh[t]) lane.difference.add(std::abs(present[t] - recorded[t]));
  }
  compare_engines(row, present, lane);
  // The difference is irrelevant to a gradient that does not read recorded values.
  const bool matters = objective_.reads_reference && p_.algorithm.reference != Reference::trainer;
  if (matters && lane.difference.max() > kRounding) lane.as_recorded = false;
}

}  // namespace longshot::train
