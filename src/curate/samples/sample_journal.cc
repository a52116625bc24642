#include "curate/samples/sample_journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/os/fs.h"
#include "base/rng.h"

namespace longshot::curate {
namespace {

namespace fs = std::filesystem;

// The bytes of one line. The file grows between reads, so it is not mapped.
Result<std::string> read_line(const fs::path& path, const JournalFile::Place& place) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return io_error(path.string() + ": " + std::strerror(errno));
  std::string text(place.size, '\0');
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t got =
        ::pread(fd, text.data() + done, text.size() - done, static_cast<off_t>(place.begin + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += static_cast<size_t>(got);
  }
  ::close(fd);
  if (done == text.size()) return text;
  return io_error(path.string() + ": a record cannot be read");
}

OrderedJson form_of(const data::Prompt& prompt) {
  return {{"prompt", prompt_json(prompt)},
          {"source", prompt.data_source},
          {"truth", prompt.ground_truth},
          {"truth_json", OrderedJson(prompt.ground_truth_json)},
          {"extra", OrderedJson(prompt.extra_info)},
          {"tokens", prompt.tokens}};
}

}  // namespace

std::string content_hash(const Ask& ask) {
  return fmt::format("{:016x}",
                     hash64(dump_json(OrderedJson{form_of(ask.prompt), form_of(ask.asked)})));
}

Result<SampleJournal> SampleJournal::open(const fs::path& folder, const OrderedJson& settings) {
  LS_RETURN_IF_ERROR(make_directories(folder));
  SampleJournal journal(folder);
  LS_ASSIGN_OR_RETURN(journal.file_,
                      JournalFile::open(folder / "journal.jsonl", settings,
                                        [&](OrderedJson&& record, const JournalFile::Place& place) {
                                          return journal.add(record, place);
                                        }));
  return journal;
}

Status SampleJournal::add(const OrderedJson& record, const JournalFile::Place& place) {
  const auto content = record.find("content"), row = record.find("row");
  if (content == record.end() || !content->is_string() || row == record.end())
    return corrupt("the record has no content and row");
  const auto id = row->is_object() ? row->find("id") : row->end();
  if (id == row->end() || !id->is_string()) return corrupt("the row has no id");
  entries_[id->get<std::string>()] = {content->get<std::string>(), place};
  return ok_status();
}

Result<std::vector<JudgedSample>> SampleJournal::find(const Ask& ask) const {
  const auto found = entries_.find(ask.prompt.id);
  if (found == entries_.end() || found->second.content != content_hash(ask))
    return std::vector<JudgedSample>();
  LS_ASSIGN_OR_RETURN(const std::string line, read_line(file_->path(), found->second.place));
  LS_ASSIGN_OR_RETURN(const OrderedJson record, parse_journal_line(line, file_->path().string()));
  LS_ASSIGN_OR_RETURN(JudgedPrompt prompt,
                      judged_prompt_from_json(record["row"], file_->path().string()));
  return std::move(prompt.samples);
}

Status SampleJournal::append(const Ask& ask, const std::vector<JudgedSample>& samples) {
  OrderedJson record = {{"content", content_hash(ask)}};
  record["row"] = to_json(JudgedPrompt{ask.prompt, samples});
  LS_ASSIGN_OR_RETURN(const JournalFile::Place place, file_->append(record));
  LS_RETURN_IF_ERROR(file_->sync());
  return add(record, place);
}

}  // namespace longshot::curate
