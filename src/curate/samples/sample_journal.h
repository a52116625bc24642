#pragma once
// The folder of `longshot sample`. journal.jsonl gets one line per finished prompt, from which a
// run continues; samples.jsonl is made from it, in the order of the input.

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/run_log/journal_file.h"
#include "base/status.h"
#include "curate/samples/judged_prompt.h"

namespace longshot::curate {

// What the model is asked for one prompt of the input.
struct Ask {
  data::Prompt prompt;  // as in the input: it is judged, and written to the row
  data::Prompt asked;   // with the template and the system message, and tokenized if necessary
};

// A hash of everything in an Ask that its samples depend on.
std::string content_hash(const Ask& ask);

// Movable only. Not thread-safe.
class SampleJournal {
 public:
  // Makes the folder, or continues with the one that exists. `settings` is everything that a sample
  // depends on; other settings than those of existing records are an error that names the keys.
  static Result<SampleJournal> open(const std::filesystem::path& folder,
                                    const OrderedJson& settings);

  // The samples recorded for this content, failed ones included; empty if there are none.
  Result<std::vector<JudgedSample>> find(const Ask& ask) const;

  // Replaces the samples of the prompt. The record survives a crash of the machine.
  Status append(const Ask& ask, const std::vector<JudgedSample>& samples);

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path samples_path() const { return folder_ / "samples.jsonl"; }

 private:
  struct Entry {
    std::string content;
    JournalFile::Place place;
  };
  explicit SampleJournal(std::filesystem::path folder) : folder_(std::move(folder)) {}
  Status add(const OrderedJson& record, const JournalFile::Place& place);

  std::filesystem::path folder_;
  std::optional<JournalFile> file_;                 // never empty after open()
  std::unordered_map<std::string, Entry> entries_;  // by prompt id
};

}  // namespace longshot::curate
