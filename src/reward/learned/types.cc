#include "reward/learned/types.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/os/machine.h"
#include "base/os/stop.h"
#include "model/reward_head.h"
#include "reward/learned/score_model.h"
#include "reward/rules/rules.h"

namespace longshot::reward {
namespace {

class RmReward : public Reward {
 public:
  RmReward(std::unique_ptr<ScoreModel> model, size_t batch, bool reference)
      : model_(std::move(model)),
        batch_(batch),
        reference_(reference),
        thread_([this] { work(); }) {}
  ~RmReward() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }
  std::string name() const override { return "rm"; }

  Result<Score> judge(const Question& question, Deadline deadline) override {
    auto chat = question.messages;
    if (chat.empty()) chat.push_back({"user", question.prompt});
    auto request = std::make_shared<Request>();
    LS_ASSIGN_OR_RETURN(request->tokens,
                        model_->encode({std::move(chat), reference_ ? question.ground_truth : "",
                                        question.completion}));
    LS_ASSIGN_OR_RETURN(const float score, wait_for(request, deadline));
    if (!std::isfinite(score)) return internal_error("reward rm: the score is not finite");
    return Score{model::score_probability(score), score > 0, ""};
  }

 private:
  struct Request {
    std::vector<data::TokenId> tokens;
    std::optional<Result<float>> score;
    bool given_up = false;
  };

  Result<float> wait_for(const std::shared_ptr<Request>& request, Deadline deadline) {
    std::unique_lock lock(mutex_);
    waiting_.push_back(request);
    wake_.notify_one();
    while (!request->score) {
      request->given_up = true;
      if (stop_requested()) return cancelled("reward rm: stopped");
      if (deadline.expired()) return timeout_error("reward rm: no score in time");
      request->given_up = false;
      done_.wait_for(lock, std::chrono::milliseconds(20));
    }
    return *request->score;
  }

  // Takes up to `batch_` requests whose callers still wait.
  std::vector<std::shared_ptr<Request>> take() {
    std::vector<std::shared_ptr<Request>> taken;
    while (!waiting_.empty() && taken.size() < batch_) {
      if (!waiting_.front()->given_up) taken.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    return taken;
  }

  Result<std::vector<float>> scores_of(const std::vector<std::shared_ptr<Request>>& batch) {
    try {
      std::vector<std::vector<data::TokenId>> sequences;
      for (const auto& request : batch) sequences.push_back(request->tokens);
      return model_->scores(sequences);
    } catch (const std::exception& error) {
      return internal_error(std::string("reward rm: ") + error.what());
    }
  }

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (stopping_) return;
      const auto batch = take();
      if (batch.empty()) continue;
      lock.unlock();
      const auto scores = scores_of(batch);
      lock.lock();
      for (size_t i = 0; i < batch.size(); ++i)
        batch[i]->score = scores.ok() ? Result<float>((*scores)[i]) : scores.status();
      done_.notify_all();
    }
  }

  std::unique_ptr<ScoreModel> model_;
  const size_t batch_;
  const bool reference_;  // whether the model sees the ground truth
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::deque<std::shared_ptr<Request>> waiting_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses the members above
};

Result<std::unique_ptr<Reward>> make_rm(const Json& options) {
  const std::string where = "reward rm";
  LS_RETURN_IF_ERROR(
      check_options("rm", options, {"path", "reference", "batch", "device", "threads"}));
  LS_ASSIGN_OR_RETURN(const std::string path, json_get<std::string>(options, "path", where));
  LS_ASSIGN_OR_RETURN(const bool reference, json_get_or(options, "reference", true, where));
  LS_ASSIGN_OR_RETURN(const int batch, json_get_or(options, "batch", 16, where));
  LS_ASSIGN_OR_RETURN(const std::string device,
                      json_get_or<std::string>(options, "device", "cpu", where));
  LS_ASSIGN_OR_RETURN(int threads, json_get_or(options, "threads", 0, where));
  if (batch < 1) return invalid_argument(where + ": batch must be at least 1");
  if (threads < 0) return invalid_argument(where + ": threads must not be negative");
  if (threads == 0) threads = std::min(at::get_num_threads(), usable_cores(inspect_machine()));
  auto model = ScoreModel::load(path, "", device, threads);
  if (!model.ok()) return model.status().with_context(where);
  return std::unique_ptr<Reward>(
      std::make_unique<RmReward>(std::move(*model), static_cast<size_t>(batch), reference));
}

constexpr RewardType kTypes[] = {{"rm", make_rm, true}};

}  // namespace

std::span<const RewardType> learned_types() {
  return kTypes;
}

}  // namespace longshot::reward
