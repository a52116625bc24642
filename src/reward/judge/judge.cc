#include "reward/judge/judge.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/rng.h"
#include "net/services.h"
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
  LS_ASSIGN_OR_RETURN(o.urls,
                      net::read_urls(json, "/v1/chat/completions", kWho,
                                     "of a Chain-of-Thought reward model (longshot serve)"));
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

// The texts of the choices of a reply. A choice without one gives an empty text, which is not a
// valid verdict.
Result<std::vector<std::string>> texts_of(const Json& reply) {
  const auto choices = reply.find("choices");
  if (choices == reply.end() || !choices->is_array() || choices->empty())
    return invalid_argument(
        fmt::format("{}: no chat answer: {}", kWho, dump_json(reply).substr(0, 200)));
  std::vector<std::string> texts;
  for (const Json& choice : *choices) {
    const Json::json_pointer place("/message/content");
    const bool spoken =
        choice.is_object() && choice.contains(place) && choice.at(place).is_string();
    texts.push_back(spoken ? choice.at(place).get<std::string>() : "");
  }
  return texts;
}

}  // namespace

class Judge::Impl {
 public:
  explicit Impl(JudgeOptions options)
      : options_(std::move(options)), services_(options_.urls, options_.headers, kWho) {}

  Result<Votes> ask(const JudgedAnswer& answer, Deadline deadline) {
    const std::string prompt = judge_prompt(options_.prompt, answer);
    Votes votes;
    int malformed = 0;
    Status last;
    for (int round = 0; round < options_.tries; ++round) {
      const int missing = options_.votes - votes.count();
      LS_ASSIGN_OR_RETURN(const Json reply,
                          services_.post(request(prompt, missing, round), deadline));
      LS_ASSIGN_OR_RETURN(const auto texts, texts_of(reply));
      for (size_t i = 0; i < std::min(texts.size(), static_cast<size_t>(missing)); ++i) {
        const auto verdict = parse_verdict(texts[i]);
        if (verdict.ok()) {
          votes.add(*verdict);
        } else {
          ++malformed;
          last = verdict.status();
        }
      }
      if (votes.count() == options_.votes) return votes;
    }
    return corrupt(fmt::format("{}: {} of {} verdicts after {} rounds, {} malformed; the last: {}",
                               kWho, votes.count(), options_.votes, options_.tries, malformed,
                               last.message()));
  }

 private:
  Json request(const std::string& prompt, int n, int round) const {
    // 31 bits, which every server accepts.
    const uint64_t seed = hash_combine(hash64(prompt), static_cast<uint64_t>(round)) >> 33;
    const Json message = {{"role", "user"}, {"content", prompt}};
    Json json = {{"messages", Json::array({message})},
                 {"n", n},
                 {"seed", seed},
                 {"temperature", options_.temperature},
                 {"max_tokens", options_.max_tokens}};
    if (!options_.model.empty()) json["model"] = options_.model;
    return json;
  }

  const JudgeOptions options_;
  net::Services services_;
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
