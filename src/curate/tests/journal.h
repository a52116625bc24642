#pragma once
// The folder of a run. journal.jsonl grows by a line a problem and is what a run goes on from; tests.jsonl (rows of
// the problems kept) and report.json are made of it, in the order of the input.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/run_log/append_file.h"
#include "base/status.h"
#include "curate/tests/problem.h"
#include "curate/tests/record.h"

namespace longshot::curate {

// Movable only. Not thread-safe.
class Journal {
 public:
  // Makes the folder, or goes on with what is there; a last line that was cut off is forgotten. `settings` is everything
  // that a result depends on: invalid_argument, naming the keys, if records were made with others.
  static Result<Journal> open(const std::filesystem::path& directory, const OrderedJson& settings);

  // Whether the problem, as it is now, has been kept or dropped. One that ended in an error has not.
  bool is_done(const Problem& problem) const;

  // `row` is null for a problem that is not kept. Survives the death of the process.
  Status append(const Record& record, const OrderedJson& row);

  // How far the given problems have come. `left` (may be null): those that have no record yet.
  Funnel funnel(const std::vector<Problem>& problems, int* left = nullptr) const;

  // tests.jsonl and report.json, each complete or as it was before.
  Status write_results(const std::vector<Problem>& problems) const;

  std::filesystem::path tests_path() const { return directory_ / "tests.jsonl"; }
  std::filesystem::path report_path() const { return directory_ / "report.json"; }

 private:
  struct Entry {
    OrderedJson record;
    std::string content_hash;
    State state = State::error;
    Reason reason = Reason::none;
    size_t begin = 0, size = 0;  // of its line, newline included
  };

  Journal(std::filesystem::path directory, OrderedJson settings, AppendFile file);
  std::filesystem::path path() const { return directory_ / "journal.jsonl"; }
  Status begin();
  Status read();
  Status check_settings(const OrderedJson& found) const;
  Status add(OrderedJson record, size_t begin, size_t size);
  const Entry* find(const Problem& problem) const;
  Status write_tests(const std::vector<Problem>& problems) const;

  std::filesystem::path directory_;
  OrderedJson settings_;
  AppendFile file_;
  size_t size_ = 0;                       // of the file
  std::map<std::string, Entry> entries_;  // by id; the last line of a problem counts
};

}  // namespace longshot::curate
