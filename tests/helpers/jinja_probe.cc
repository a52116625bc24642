// Helper of tests/golden/test_jinja.py: reads one JSON request per line on stdin and writes one
// JSON answer per line on stdout.
//   {"template": JINJA, "variables": {...}, "now": SECONDS} → {"text": TEXT, "spans": [[b, e],
//   ...]}
// A failure is {"error": MESSAGE}. A template that equals the previous one is not parsed again.

#include <iostream>

#include "tokenizer/jinja/template.h"

namespace longshot::tokenizer::jinja {
namespace {

class Probe {
 public:
  Result<OrderedJson> answer(const std::string& line) {
    const OrderedJson request = OrderedJson::parse(line);
    const std::string source = request["template"].get<std::string>();
    if (!template_ || source != source_) {
      template_.reset();
      LS_ASSIGN_OR_RETURN(template_, Template::parse(source));
      source_ = source;
    }
    Variables variables;
    for (const auto& item : request["variables"].items())
      variables.emplace_back(item.key(), value_of(item.value()));
    RenderOptions options;
    options.now = request.value("now", 0);
    LS_ASSIGN_OR_RETURN(const Rendered rendered, template_->render(variables, options));
    OrderedJson out;
    out["text"] = rendered.text;
    out["spans"] = OrderedJson::array();
    for (const Span& span : rendered.generations) out["spans"].push_back({span.begin, span.end});
    return out;
  }

 private:
  std::string source_;
  std::optional<Template> template_;
};

int run() {
  Probe probe;
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto answer = probe.answer(line);
    OrderedJson failed;
    if (!answer.ok()) failed["error"] = answer.status().message();
    std::cout << dump_json(answer.ok() ? *answer : failed) << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace longshot::tokenizer::jinja

int main() {
  return longshot::tokenizer::jinja::run();
}
