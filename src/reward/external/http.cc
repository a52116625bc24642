// The http plug-in.

#include "net/services.h"
#include "reward/external/external.h"
#include "reward/rules/rules.h"

namespace longshot::reward {
namespace {

class HttpReward : public Reward {
 public:
  // Each service gets a request at most once; the stage repeats the judgement after that.
  HttpReward(const std::vector<net::Url>& urls, std::map<std::string, std::string> headers,
             double threshold)
      : threshold_(threshold),
        services_(urls, std::move(headers), "http",
                  {.count = static_cast<int>(urls.size()) - 1, .pause_seconds = 0}) {}
  std::string name() const override { return "http"; }

  Result<Score> judge(const Question& question, Deadline deadline) override {
    LS_ASSIGN_OR_RETURN(const net::Services::Answer answer,
                        services_.send(dump_json(plugin_request(question)), deadline));
    LS_RETURN_IF_ERROR(net::check_http_status(answer.reply, answer.who));
    const auto json = parse_json(answer.reply.body, answer.who);
    if (!json.ok() || !json->is_object()) {
      return corrupt(answer.who +
                     ": the reply is not a JSON object: " + answer.reply.body.substr(0, 200));
    }
    return plugin_score(*json, question.completion, answer.who, threshold_);
  }

 private:
  const double threshold_;
  net::Services services_;
};

}  // namespace

Result<std::unique_ptr<Reward>> make_http(const Json& options) {
  const std::string where = "reward http";
  LS_RETURN_IF_ERROR(check_options("http", options, {"url", "headers", "threshold"}));
  LS_ASSIGN_OR_RETURN(const std::vector<net::Url> urls,
                      net::read_urls(options, "/", where, "that of a service that scores"));
  LS_ASSIGN_OR_RETURN(auto headers, (json_get_or<std::map<std::string, std::string>>(
                                        options, "headers", {}, where)));
  LS_ASSIGN_OR_RETURN(const double threshold, read_threshold(options, where));
  return std::unique_ptr<Reward>(std::make_unique<HttpReward>(urls, std::move(headers), threshold));
}

}  // namespace longshot::reward
