#include "curate/tests/journal.h"

#include <fmt/format.h>

#include <string_view>

#include "base/os/fs.h"
#include "base/os/output.h"

namespace longshot::curate {
namespace {

namespace fs = std::filesystem;

Result<OrderedJson> parse_line(std::string_view line, const std::string& where) {
  auto json = parse_ordered_json(line, where);
  if (json.ok() && json->is_object()) return json;
  return corrupt(where + ": no line of a journal of make-tests");
}

std::string text_in(const OrderedJson& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

// Removes an incomplete last line, left by a process that died while it was writing.
Status cut_unfinished_line(const fs::path& path) {
  size_t whole = 0;
  {
    LS_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
    whole = file.bytes().rfind('\n') + 1;  // npos + 1 is 0
    if (whole == file.bytes().size()) return ok_status();
  }
  std::error_code error;
  fs::resize_file(path, whole, error);
  return error ? io_error(path.string() + ": " + error.message()) : ok_status();
}

}  // namespace

Journal::Journal(fs::path directory, OrderedJson settings, AppendFile file)
    : directory_(std::move(directory)), settings_(std::move(settings)), file_(std::move(file)) {}

Result<Journal> Journal::open(const fs::path& directory, const OrderedJson& settings) {
  LS_RETURN_IF_ERROR(make_directories(directory));
  const fs::path path = directory / "journal.jsonl";
  if (fs::exists(path)) LS_RETURN_IF_ERROR(cut_unfinished_line(path));
  LS_ASSIGN_OR_RETURN(AppendFile file, AppendFile::open(path));
  Journal journal(directory, settings, std::move(file));
  LS_RETURN_IF_ERROR(journal.read());
  if (journal.entries_.empty()) LS_RETURN_IF_ERROR(journal.begin());
  return journal;
}

Status Journal::begin() {
  std::error_code error;
  fs::resize_file(path(), 0, error);
  if (error) return io_error(path().string() + ": " + error.message());
  OrderedJson head;
  head["settings"] = settings_;
  const std::string text = dump_json(head) + "\n";
  size_ = text.size();
  return file_.append(text);
}

Status Journal::read() {
  LS_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path()));
  const std::string_view bytes = file.bytes();
  OrderedJson settings;
  int number = 0;
  for (size_t begin = 0; begin < bytes.size();) {
    const size_t size = bytes.find('\n', begin) + 1 - begin;
    const std::string where = fmt::format("{}:{}", path().string(), ++number);
    LS_ASSIGN_OR_RETURN(OrderedJson line, parse_line(bytes.substr(begin, size), where));
    if (number == 1) {
      settings = std::move(line["settings"]);
    } else {
      LS_RETURN_IF_ERROR(add(std::move(line["record"]), begin, size).with_context(where));
    }
    begin += size;
  }
  size_ = bytes.size();
  return entries_.empty() ? ok_status() : check_settings(settings);
}

Status Journal::check_settings(const OrderedJson& found) const {
  std::string differences;
  for (const auto& [key, value] : settings_.items()) {
    const OrderedJson before =
        found.is_object() && found.contains(key) ? found[key] : OrderedJson();
    if (before != value)
      differences += fmt::format(" {} was {}, now {};", key, dump_json(before), dump_json(value));
  }
  if (differences.empty()) return ok_status();
  return invalid_argument(
      fmt::format("{} was begun with other options:{} give them again, or another --out",
                  directory_.string(), differences));
}

Status Journal::add(OrderedJson record, size_t begin, size_t size) {
  if (!record.is_object()) return corrupt("there is no record");
  const auto state = parse_state(text_in(record, "state"));
  const auto reason = parse_reason(text_in(record, "reason"));
  const std::string id = text_in(record, "id");
  if (!state || !reason || id.empty()) return corrupt("the record has no id, state and reason");
  Entry& entry = entries_[id];
  entry = {std::move(record), "", *state, *reason, begin, size};
  entry.content_hash = text_in(entry.record, "content_hash");
  return ok_status();
}

Status Journal::append(const Record& record, const OrderedJson& row) {
  OrderedJson line;
  line["record"] = to_json(record);
  if (!row.is_null()) line["row"] = row;
  const std::string text = dump_json(line) + "\n";
  LS_RETURN_IF_ERROR(file_.append(text));
  const size_t begin = size_;
  size_ += text.size();
  return add(std::move(line["record"]), begin, text.size());
}

const Journal::Entry* Journal::find(const Problem& problem) const {
  const auto found = entries_.find(problem.id);
  if (found == entries_.end() || found->second.content_hash != problem.content_hash) return nullptr;
  return &found->second;
}

bool Journal::is_done(const Problem& problem) const {
  const Entry* entry = find(problem);
  return entry != nullptr && entry->state != State::error;
}

Funnel Journal::funnel(const std::vector<Problem>& problems, int* left) const {
  Funnel funnel;
  for (const Problem& problem : problems) {
    if (const Entry* entry = find(problem)) funnel.add(entry->state, entry->reason);
  }
  if (left != nullptr) *left = static_cast<int>(problems.size()) - funnel.statements;
  return funnel;
}

Status Journal::write_tests(const std::vector<Problem>& problems) const {
  LS_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path()));
  LS_ASSIGN_OR_RETURN(Output output, Output::open(tests_path()));
  for (const Problem& problem : problems) {
    const Entry* entry = find(problem);
    if (entry == nullptr || entry->state != State::kept) continue;
    LS_ASSIGN_OR_RETURN(const OrderedJson line,
                        parse_line(file.bytes().substr(entry->begin, entry->size), path()));
    LS_RETURN_IF_ERROR(output.write(dump_json(line.value("row", OrderedJson())) + '\n'));
  }
  return output.finish();
}

Status Journal::write_results(const std::vector<Problem>& problems) const {
  LS_RETURN_IF_ERROR(write_tests(problems));
  OrderedJson report;
  report["settings"] = settings_;
  report["funnel"] = to_json(funnel(problems));
  report["problems"] = OrderedJson::array();
  for (const Problem& problem : problems) {
    if (const Entry* entry = find(problem)) report["problems"].push_back(entry->record);
  }
  // Texts of programs and models may be cut inside a character or not be UTF-8; dump_json()
  // replaces invalid bytes.
  return write_output(report_path(), dump_json(report, 1) + "\n");
}

}  // namespace longshot::curate
