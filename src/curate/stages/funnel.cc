#include "curate/stages/funnel.h"

#include <fmt/format.h>

#include <map>

#include "base/progress_line.h"
#include "base/text/text.h"
#include "curate/stages/funnel_assets.h"
#include "curate/stages/stage_functions.h"
#include "tokenizer/unicode/unicode.h"

namespace longshot::curate {
namespace {

constexpr size_t kExamples = 5;        // for each reason, and of kept rows
constexpr size_t kExampleBytes = 600;  // of a problem's text

std::string shortened(std::string text) {
  if (text.size() <= kExampleBytes) return text;
  text.resize(kExampleBytes);
  text.resize(tokenizer::complete_bytes(text));
  return text + " ...";
}

Result<OrderedJson> example_of(const RowStore& rows, size_t row) {
  LS_ASSIGN_OR_RETURN(const OrderedJson line, rows.read(row));
  return OrderedJson{{"id", full_id(line["row"])},
                     {"where", line["where"]},
                     {"problem", shortened(text_of_row(line["row"]))},
                     {"answer", shortened(answer_of_row(line["row"]))}};
}

// The counts and examples of one stage.
class StageReport {
 public:
  StageReport(const RowStore& rows, int64_t input) : rows_(rows), input_(input) {}

  Status read(const StageFile& file) {
    LS_ASSIGN_OR_RETURN(header_, decision_header(file.path));
    return read_decisions(file.path, [&](const OrderedJson& line) -> Status {
      if (line.contains("summary")) summary_ = line["summary"];
      if (!line.contains("reason")) return ok_status();
      return add_dropped(line);
    });
  }

  Result<OrderedJson> to_json(const RowSet& after) const {
    OrderedJson json = {{"stage", header_["stage"]}, {"input", input_}};
    json["kept"] = input_ - dropped_;
    json["dropped"] = dropped_;
    json["reasons"] = reasons_;
    json["dropped_examples"] = examples_;
    json["kept_examples"] = OrderedJson::array();
    const size_t step = std::max<size_t>(1, after.alive.size() / kExamples);
    for (size_t at = 0, row = 0; at < after.alive.size(); at += step) {
      for (row = std::max(row, at); row < after.alive.size() && !after.alive[row];) ++row;
      if (row == after.alive.size() || json["kept_examples"].size() == kExamples) break;
      LS_ASSIGN_OR_RETURN(OrderedJson example, example_of(rows_, row++));
      json["kept_examples"].push_back(std::move(example));
    }
    json["summary"] = summary_;
    json["settings"] = header_["settings"];
    return json;
  }

  int64_t kept() const { return input_ - dropped_; }

 private:
  Status add_dropped(const OrderedJson& line) {
    ++dropped_;
    const std::string reason = line["reason"];
    if (++reasons_[reason] > static_cast<int64_t>(kExamples)) return ok_status();
    LS_ASSIGN_OR_RETURN(OrderedJson example, example_of(rows_, line["row"].get<size_t>()));
    example["reason"] = reason;
    LS_ASSIGN_OR_RETURN(example["details"],
                        resolved_details(rows_, line.value("details", OrderedJson())));
    examples_.push_back(std::move(example));
    return ok_status();
  }

  const RowStore& rows_;
  int64_t input_, dropped_ = 0;
  OrderedJson header_, summary_, examples_ = OrderedJson::array();
  std::map<std::string, int64_t> reasons_;
};

}  // namespace

Result<OrderedJson> resolved_details(const RowStore& rows, OrderedJson details) {
  for (const char* key : {"of", "through"}) {
    if (!details.is_object() || !details.contains(key)) continue;
    LS_ASSIGN_OR_RETURN(const OrderedJson names, rows.read_names(details[key].get<size_t>()));
    details[key] = {{"id", full_id(names["row"])}, {"where", names["where"]}};
  }
  return details;
}

Result<OrderedJson> make_funnel(const RowStore& rows, const std::vector<StageFile>& stages) {
  OrderedJson funnel = {{"input_rows", rows.size()}, {"kept_rows", 0}};
  funnel["stages"] = OrderedJson::array();
  RowSet set(rows.size());
  auto left = static_cast<int64_t>(rows.size());
  for (const StageFile& file : stages) {
    StageReport report(rows, left);
    LS_RETURN_IF_ERROR(report.read(file));
    LS_RETURN_IF_ERROR(apply_decisions(file.path, set));
    LS_ASSIGN_OR_RETURN(OrderedJson json, report.to_json(set));
    funnel["stages"].push_back(std::move(json));
    left = report.kept();
  }
  funnel["kept_rows"] = left;
  return funnel;
}

// "</script>" or "<!--" inside a text would end or change the element; in JSON, < may be written as
// \u003c.
std::string funnel_page(const OrderedJson& funnel) {
  std::string data = dump_json(funnel);
  replace_all(data, "<", "\\u003c");
  std::string page(kFunnelHtml);
  const size_t style = page.find("{{style}}");
  page.replace(style, 9, kFunnelCss);
  const size_t at = page.find("{{data}}");
  page.replace(at, 8, data);
  const size_t script = page.find("{{script}}", at + data.size());
  return page.replace(script, 10, kFunnelJs);
}

std::string funnel_table(const OrderedJson& funnel) {
  std::string text = fmt::format("{:<14} {:>12} {:>12} {:>12}  {}\n", "stage", "input", "dropped",
                                 "kept", "reasons");
  for (const OrderedJson& stage : funnel["stages"]) {
    std::string reasons;
    for (const auto& [reason, count] : stage["reasons"].items())
      reasons += fmt::format("{}{} {}", reasons.empty() ? "" : ", ", reason,
                             with_commas(count.get<int64_t>()));
    text += fmt::format("{:<14} {:>12} {:>12} {:>12}  {}\n", stage["stage"].get<std::string>(),
                        with_commas(stage["input"]), with_commas(stage["dropped"]),
                        with_commas(stage["kept"]), reasons);
  }
  return text;
}

}  // namespace longshot::curate
