#pragma once
// The journal of a command that continues where it was stopped: a file of JSON lines. The first one
// has the settings that the results depend on, {"settings": {...}}; each further one is a record.

#include <filesystem>
#include <functional>
#include <string>

#include "base/json.h"
#include "base/run_log/append_file.h"
#include "base/status.h"

namespace longshot {

// Movable only. Not thread-safe.
class JournalFile {
 public:
  // The place of a line, newline included.
  struct Place {
    size_t begin = 0, size = 0;
  };
  // Receives each record of an existing journal, in order.
  using Use = std::function<Status(OrderedJson&& record, const Place& place)>;

  // Opens or creates the journal; its folder must exist. A last line that was cut off by the death
  // of the process is removed. A journal without records is begun again with these settings.
  // Errors: corrupt if a line is not a JSON object, those of `use`, both with file and line; and
  // invalid_argument that names the keys if there are records made with other settings.
  static Result<JournalFile> open(const std::filesystem::path& path, const OrderedJson& settings,
                                  const Use& use);

  // Appends a record; it survives the death of the process, and with sync() that of the machine.
  Result<Place> append(const OrderedJson& record);
  Status sync() { return file_.sync(); }

  const std::filesystem::path& path() const { return path_; }

 private:
  JournalFile(std::filesystem::path path, AppendFile file)
      : path_(std::move(path)), file_(std::move(file)) {}
  Result<bool> read(const OrderedJson& settings, const Use& use);
  Status begin(const OrderedJson& settings);

  std::filesystem::path path_;
  AppendFile file_;
  size_t size_ = 0;  // of the file
};

// Reads one line of a journal or of its results; `where` begins the error.
Result<OrderedJson> parse_journal_line(std::string_view line, const std::string& where);

}  // namespace longshot
