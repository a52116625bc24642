#include "base/run_log/warnings_log.h"

#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "base/json.h"
#include "base/log.h"
#include "base/run_log/append_file.h"

namespace longshot {

struct WarningsLog::File {
  const std::filesystem::path path;
  std::mutex mutex;  // nothing is logged under it, because that comes back to add()
  int64_t step;
  std::optional<AppendFile> file = {};
  std::string waiting = {};  // lines that are not written yet
  bool failing = false;      // the last attempt failed, and a warning said so

  File(std::filesystem::path path, int64_t step) : path(std::move(path)), step(step) {}

  void add(const log::Warning& warning) {
    const std::lock_guard lock(mutex);
    OrderedJson line;
    line["step"] = step;
    line["time"] = warning.time;
    line["text"] = warning.text;
    if (waiting.size() < kMostWaiting) waiting += dump_json(line) + "\n";
  }

  Status append() {
    if (waiting.empty()) return ok_status();
    if (!file) {
      LS_ASSIGN_OR_RETURN(file, AppendFile::open(path));
    }
    LS_RETURN_IF_ERROR(file->append(waiting));
    waiting.clear();
    return ok_status();
  }

  // The warning about a failure comes back through the reader, and `failing` keeps a second failure
  // there from warning again.
  void write() {
    std::unique_lock lock(mutex);
    const Status written = append();
    const bool told = std::exchange(failing, !written.ok());
    lock.unlock();
    if (!written.ok() && !told)
      log::warn("{}; the run continues without this part of its log", written.message());
  }
};

WarningsLog::WarningsLog(const std::filesystem::path& path, int64_t step)
    : file_(std::make_shared<File>(path, step)) {
  reader_ = log::read_warnings([file = file_](const log::Warning& warning) {
    file->add(warning);
    file->write();
  });
}

void WarningsLog::begin_step(int64_t step) {
  {
    const std::lock_guard lock(file_->mutex);
    file_->step = step;
  }
  file_->write();
}

}  // namespace longshot
