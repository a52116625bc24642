#include "reward/judge/judge.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/rng.h"
#include "net/chat_client.h"
#include "reward/rules/rules.h"

namespace longshot::reward {
namespace {

constexpr const char* kWho = "reward judge";

struct JudgeOptions {
  std::vector<net::Url> urls;
  std::map<std::string, std::string> headers;
  std::string model, prompt;
  int votes = 1, tries = 3, max_tokens = 1024;
  double temperature = 0.7;
};

Result<JudgeOptions> read_options(const Json& json) {
  LS_RETURN_IF_ERROR(check_options(
      "judge", json,
      {"url", "model", "prompt", "votes", "tries", "temperature", "max_tokens", "headers"}));
  JudgeOptions o;
  LS_ASSIGN_OR_RETURN(
      o.urls,
      net::read_urls(json, "/", kWho, "of a Chain-of-Thought reward model (longshot serve)"));
  for (net::Url& url : o.urls) url.path = net::chat_path(url.path);
  LS_ASSIGN_OR_RETURN(o.headers,
                      (json_get_or<std::map<std::string, std::string>>(json, "headers", {}, kWho)));
  LS_ASSIGN_OR_RETURN(o.model, json_get_or<std::string>(json, "model", "", kWho));
  LS_ASSIGN_OR_RETURN(o.prompt, json_get_or<std::string>(json, "prompt", kJudgePrompt, kWho));
  LS_ASSIGN_OR_RETURN(o.votes, json_get_or(json, "votes", o.votes, kWho));
  LS_ASSIGN_OR_RETURN(o.tries, json_get_or(json, "tries", o.tries, kWho));
  LS_ASSIGN_OR_RETURN(o.max_tokens, json_get_or(json, "max_tokens", o.max_tokens, kWho));
  LS_ASSIGN_OR_RETURN(o.temperature, json_get_or(json, "temperature", o.temperature, kWho));
  LS_RETURN_IF_ERROR(check_judge_prompt(o.prompt).with_context(kWho));
  if (o.votes < 1 || o.votes % 2 == 0)
    return invalid_argument(
        fmt::format("{}: votes={} must be odd, so that a majority exists", kWho, o.votes));
  if (o.tries < 1 || o.max_tokens < 1)
    return invalid_argument(fmt::format("{}: tries and max_tokens must be at least 1", kWho));
  if (!(o.temperature >= 0))
    return invalid_argument(fmt::format("{}: temperature must not be negative", kWho));
  return o;
}

// A query that fails for another reason than its verdicts. `corrupt` is for malformed verdicts.
Status service_failure(const Status& status) {
  if (status.code() != StatusCode::corrupt) return status;
  return invalid_argument(status.message());
}

}  // namespace

class Judge::Impl {
 public:
  explicit Impl(JudgeOptions options)
      : options_(std::move(options)), client_(options_.urls, options_.headers, kWho) {}

  Result<Votes> ask(const JudgedAnswer& answer, Deadline deadline) {
    const std::string prompt = judge_prompt(options_.prompt, answer);
    Votes votes;
    int malformed = 0, failed_rounds = 0, round = 0;
    Status last;
    for (; failed_rounds < options_.tries; ++round) {
      const int missing = options_.votes - votes.count();
      const auto choices = client_.ask(query(prompt, missing, round), deadline);
      if (!choices.ok()) return service_failure(choices.status());
      const int before = malformed;
      for (size_t i = 0; i < std::min(choices->size(), static_cast<size_t>(missing)); ++i) {
        const Status read = count_vote((*choices)[i], votes);
        if (read.ok()) continue;
        ++malformed;
        last = read;
      }
      if (votes.count() == options_.votes) return votes;
      if (malformed > before) ++failed_rounds;
    }
    return corrupt(fmt::format("{}: {} of {} verdicts after {} rounds, {} malformed; the last: {}",
                               kWho, votes.count(), options_.votes, round, malformed,
                               last.message()));
  }

 private:
  // Adds the verdict of a reply, or returns why there is none.
  static Status count_vote(const net::ChatChoice& choice, Votes& votes) {
    const auto vote = parse_vote(choice.content);
    if (vote.ok()) {
      votes.add(*vote);
      return ok_status();
    }
    const std::string defect = choice.defect();
    return corrupt(vote.status().message() + (defect.empty() ? "" : " (" + defect + ")"));
  }

  net::ChatQuery query(const std::string& prompt, int choices, int round) const {
    net::ChatQuery query;
    query.messages = {{"user", prompt}};
    query.model = options_.model;
    query.choices = choices;
    query.max_tokens = options_.max_tokens;
    query.temperature = options_.temperature;
    // 31 bits, which every server accepts.
    query.seed = hash_combine(hash64(prompt), static_cast<uint64_t>(round)) >> 33;
    return query;
  }

  const JudgeOptions options_;
  net::ChatClient client_;
};

Judge::Judge(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Judge::~Judge() = default;

Result<Votes> Judge::ask(const JudgedAnswer& answer, Deadline deadline) {
  return impl_->ask(answer, deadline);
}

namespace {

class JudgeReward : public Reward {
 public:
  explicit JudgeReward(std::unique_ptr<Judge> judge) : judge_(std::move(judge)) {}
  std::string name() const override { return "judge"; }

  Result<Score> judge(const Question& question, Deadline deadline) override {
    const std::string asked =
        question.messages.empty() ? question.prompt : question_text(question.messages);
    LS_ASSIGN_OR_RETURN(const Votes votes,
                        judge_->ask({asked, question.ground_truth, question.completion}, deadline));
    return Score{votes.value(), votes.correct(), ""};
  }

 private:
  std::unique_ptr<Judge> judge_;
};

}  // namespace

Result<std::unique_ptr<Judge>> Judge::create(const Json& options) {
  LS_ASSIGN_OR_RETURN(JudgeOptions read, read_options(options));
  return std::unique_ptr<Judge>(new Judge(std::make_unique<Impl>(std::move(read))));
}

Result<std::unique_ptr<Reward>> make_judge(const Json& options) {
  LS_ASSIGN_OR_RETURN(auto judge, Judge::create(options));
  return std::unique_ptr<Reward>(std::make_unique<JudgeReward>(std::move(judge)));
}

}  // namespace longshot::reward
