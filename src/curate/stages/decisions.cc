#include "curate/stages/decisions.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

namespace longshot::curate {
namespace {

constexpr size_t kBuffer = 1 << 16;

}  // namespace

int64_t RowSet::count() const {
  return std::count(alive.begin(), alive.end(), true);
}

OrderedJson RowSet::members_of(size_t row) const {
  if (members.empty() || members[row].empty()) return OrderedJson::object();
  auto parsed = parse_ordered_json("{" + members[row] + "}", "members");
  LS_CHECK(parsed.ok(), parsed.status().to_string());
  return std::move(*parsed);
}

Result<DecisionWriter> DecisionWriter::create(const std::filesystem::path& path,
                                              const OrderedJson& header) {
  LS_ASSIGN_OR_RETURN(Output output, Output::open(path));
  DecisionWriter writer(std::move(output));
  LS_RETURN_IF_ERROR(writer.write(header));
  return writer;
}

Status DecisionWriter::write(const OrderedJson& line) {
  buffer_ += dump_json(line);
  buffer_ += '\n';
  if (buffer_.size() < kBuffer) return ok_status();
  LS_RETURN_IF_ERROR(output_.write(buffer_));
  buffer_.clear();
  return ok_status();
}

Status DecisionWriter::drop(size_t row, const std::string& reason, const OrderedJson& details) {
  OrderedJson line = {{"row", row}, {"reason", reason}};
  if (!details.is_null()) line["details"] = details;
  return write(line);
}

Status DecisionWriter::set(size_t row, const OrderedJson& members) {
  return write({{"row", row}, {"set", members}});
}

Status DecisionWriter::finish(const OrderedJson& summary) {
  LS_RETURN_IF_ERROR(write({{"summary", summary}}));
  LS_RETURN_IF_ERROR(output_.write(buffer_));
  return output_.finish();
}

Result<OrderedJson> decision_header(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string line;
  if (!in || !std::getline(in, line)) return OrderedJson();
  return parse_ordered_json(line, path.string() + ":1");
}

Status read_decisions(const std::filesystem::path& path,
                      const std::function<Status(const OrderedJson& line)>& use) {
  std::ifstream in(path, std::ios::binary);
  std::string line;
  for (int64_t number = 1; std::getline(in, line); ++number) {
    if (number == 1) continue;
    LS_ASSIGN_OR_RETURN(const OrderedJson json,
                        parse_ordered_json(line, fmt::format("{}:{}", path.string(), number)));
    LS_RETURN_IF_ERROR(use(json));
  }
  return in.bad() ? io_error("cannot read " + path.string()) : ok_status();
}

Status apply_decisions(const std::filesystem::path& path, RowSet& rows) {
  return read_decisions(path, [&](const OrderedJson& line) -> Status {
    const auto row = line.find("row");
    if (row == line.end()) return ok_status();
    const auto index = row->get<size_t>();
    if (index >= rows.alive.size()) return corrupt(path.string() + ": there is no such row");
    const auto set = line.find("set");
    if (set == line.end()) {
      rows.alive[index] = false;
      return ok_status();
    }
    if (rows.members.empty()) rows.members.resize(rows.alive.size());
    const std::string text = dump_json(*set);
    std::string& members = rows.members[index];
    members += (members.empty() ? "" : ",") + text.substr(1, text.size() - 2);
    return ok_status();
  });
}

}  // namespace longshot::curate
