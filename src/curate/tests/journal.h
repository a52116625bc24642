#pragma once
// The folder of a run. journal.jsonl gets one line per problem, from which a run continues.
// tests.jsonl (rows of the kept problems) and report.json are made from it, in the order of the
// input.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/run_log/journal_file.h"
#include "base/status.h"
#include "curate/tests/problem.h"
#include "curate/tests/record.h"

namespace longshot::curate {

// Movable only. Not thread-safe.
class Journal {
 public:
  // Makes the folder, or continues with the one that exists; a last line that was cut off is
  // removed. `settings` is everything that a result depends on. If there are records that were made
  // with other settings, returns invalid_argument that names the keys.
  static Result<Journal> open(const std::filesystem::path& directory, const OrderedJson& settings);

  // True if the problem with its current content has been kept or dropped. A problem that ended in
  // an error is not done.
  bool is_done(const Problem& problem) const;

  // `row` is null for a problem that is not kept. The line survives the death of the process.
  Status append(const Record& record, const OrderedJson& row);

  // The funnel of the given problems. `left`, if not null, receives the number of those without a
  // record.
  Funnel funnel(const std::vector<Problem>& problems, int* left = nullptr) const;

  // Writes tests.jsonl and report.json. Each is then complete, or unchanged after an error.
  Status write_results(const std::vector<Problem>& problems) const;

  std::filesystem::path tests_path() const { return directory_ / "tests.jsonl"; }
  std::filesystem::path report_path() const { return directory_ / "report.json"; }

 private:
  struct Entry {
    OrderedJson record;
    std::string content_hash;
    State state = State::error;
    Reason reason = Reason::none;
    JournalFile::Place place;
  };

  Journal(std::filesystem::path directory, OrderedJson settings)
      : directory_(std::move(directory)), settings_(std::move(settings)) {}
  std::filesystem::path path() const { return directory_ / "journal.jsonl"; }
  Status add(OrderedJson record, const JournalFile::Place& place);
  const Entry* find(const Problem& problem) const;
  Status write_tests(const std::vector<Problem>& problems) const;

  std::filesystem::path directory_;
  OrderedJson settings_;
  std::optional<JournalFile> file_;       // never empty after open()
  std::map<std::string, Entry> entries_;  // by id; the last line of a problem replaces earlier ones
};

}  // namespace longshot::curate
