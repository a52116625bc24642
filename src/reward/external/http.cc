// The http plug-in.

#include "net/http_client.h"
#include "reward/external/external.h"
#include "reward/rules/rules.h"

namespace longshot::reward {
namespace {

class HttpReward : public Reward {
 public:
  HttpReward(net::Url url, std::map<std::string, std::string> headers, std::string who,
             double threshold)
      : url_(std::move(url)),
        who_(std::move(who)),
        threshold_(threshold),
        client_(std::move(headers)) {}
  std::string name() const override { return "http"; }

  Result<Score> judge(const Question& question, Deadline deadline) override {
    LS_ASSIGN_OR_RETURN(const net::HttpReply reply,
                        client_.post(url_, dump_json(plugin_request(question)), deadline, who_));
    LS_RETURN_IF_ERROR(net::check_http_status(reply, who_));
    const auto json = parse_json(reply.body, who_);
    if (!json.ok() || !json->is_object())
      return corrupt(who_ + ": the reply is not a JSON object: " + reply.body.substr(0, 200));
    return plugin_score(*json, question.completion, who_, threshold_);
  }

 private:
  const net::Url url_;
  const std::string who_;
  const double threshold_;
  net::HttpClient client_;
};

}  // namespace

Result<std::unique_ptr<Reward>> make_http(const Json& options) {
  const std::string where = "reward http";
  LS_RETURN_IF_ERROR(check_options("http", options, {"url", "headers", "threshold"}));
  LS_ASSIGN_OR_RETURN(const std::string text, json_get<std::string>(options, "url", where));
  LS_ASSIGN_OR_RETURN(net::Url url, net::parse_url(text, where));
  LS_ASSIGN_OR_RETURN(auto headers, (json_get_or<std::map<std::string, std::string>>(
                                        options, "headers", {}, where)));
  LS_ASSIGN_OR_RETURN(const double threshold, read_threshold(options, where));
  return std::unique_ptr<Reward>(
      std::make_unique<HttpReward>(std::move(url), std::move(headers), "http " + text, threshold));
}

}  // namespace longshot::reward
