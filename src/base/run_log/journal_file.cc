#include "base/run_log/journal_file.h"

#include <fmt/format.h>

#include "base/os/fs.h"

namespace longshot {
namespace {

namespace fs = std::filesystem;

Status resize(const fs::path& path, size_t size) {
  std::error_code error;
  fs::resize_file(path, size, error);
  return error ? io_error(path.string() + ": " + error.message()) : ok_status();
}

Status cut_unfinished_line(const fs::path& path) {
  size_t whole = 0;
  {
    LS_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
    whole = file.bytes().rfind('\n') + 1;  // npos + 1 is 0
    if (whole == file.bytes().size()) return ok_status();
  }
  return resize(path, whole);
}

Status check_settings(const OrderedJson& now, const OrderedJson& before, const fs::path& folder) {
  std::string differences;
  for (const auto& [key, value] : now.items()) {
    const OrderedJson old =
        before.is_object() && before.contains(key) ? before[key] : OrderedJson();
    if (old != value)
      differences += fmt::format(" {} was {}, now {};", key, dump_json(old), dump_json(value));
  }
  if (differences.empty()) return ok_status();
  return invalid_argument(
      fmt::format("{} was begun with other options:{} give them again, or another --out",
                  folder.string(), differences));
}

}  // namespace

Result<OrderedJson> parse_journal_line(std::string_view line, const std::string& where) {
  auto json = parse_ordered_json(line, where);
  if (json.ok() && json->is_object()) return json;
  return corrupt(where + ": not a line of a journal");
}

Result<JournalFile> JournalFile::open(const fs::path& path, const OrderedJson& settings,
                                      const Use& use) {
  if (fs::exists(path)) LS_RETURN_IF_ERROR(cut_unfinished_line(path));
  LS_ASSIGN_OR_RETURN(AppendFile file, AppendFile::open(path));
  JournalFile journal(path, std::move(file));
  LS_ASSIGN_OR_RETURN(const bool has_records, journal.read(settings, use));
  if (!has_records) LS_RETURN_IF_ERROR(journal.begin(settings));
  return journal;
}

Status JournalFile::begin(const OrderedJson& settings) {
  LS_RETURN_IF_ERROR(resize(path_, 0));
  size_ = 0;
  return append({{"settings", settings}}).status();
}

// Returns whether there are records.
Result<bool> JournalFile::read(const OrderedJson& settings, const Use& use) {
  LS_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path_));
  const std::string_view bytes = file.bytes();
  int number = 0;
  for (size_t begin = 0; begin < bytes.size();) {
    const Place place = {begin, bytes.find('\n', begin) + 1 - begin};
    const std::string where = fmt::format("{}:{}", path_.string(), ++number);
    LS_ASSIGN_OR_RETURN(OrderedJson line,
                        parse_journal_line(bytes.substr(begin, place.size), where));
    begin += place.size;
    if (number > 1) {
      LS_RETURN_IF_ERROR(use(std::move(line), place).with_context(where));
    } else if (begin < bytes.size()) {
      LS_RETURN_IF_ERROR(check_settings(settings, line["settings"], path_.parent_path()));
    }
  }
  size_ = bytes.size();
  return number > 1;
}

Result<JournalFile::Place> JournalFile::append(const OrderedJson& record) {
  const std::string text = dump_json(record) + "\n";
  LS_RETURN_IF_ERROR(file_.append(text));
  const Place place = {size_, text.size()};
  size_ += text.size();
  return place;
}

}  // namespace longshot
