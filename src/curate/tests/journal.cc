#include "curate/tests/journal.h"

#include "base/os/fs.h"
#include "base/os/output.h"

namespace longshot::curate {
namespace {

namespace fs = std::filesystem;

std::string text_in(const OrderedJson& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

Result<Journal> Journal::open(const fs::path& directory, const OrderedJson& settings) {
  LS_RETURN_IF_ERROR(make_directories(directory));
  Journal journal(directory, settings);
  LS_ASSIGN_OR_RETURN(journal.file_,
                      JournalFile::open(journal.path(), settings,
                                        [&](OrderedJson&& line, const JournalFile::Place& place) {
                                          return journal.add(std::move(line["record"]), place);
                                        }));
  return journal;
}

Status Journal::add(OrderedJson record, const JournalFile::Place& place) {
  if (!record.is_object()) return corrupt("there is no record");
  const auto state = parse_state(text_in(record, "state"));
  const auto reason = parse_reason(text_in(record, "reason"));
  const std::string id = text_in(record, "id");
  if (!state || !reason || id.empty()) return corrupt("the record has no id, state and reason");
  Entry& entry = entries_[id];
  entry = {std::move(record), "", *state, *reason, place};
  entry.content_hash = text_in(entry.record, "content_hash");
  return ok_status();
}

Status Journal::append(const Record& record, const OrderedJson& row) {
  OrderedJson line;
  line["record"] = to_json(record);
  if (!row.is_null()) line["row"] = row;
  LS_ASSIGN_OR_RETURN(const JournalFile::Place place, file_->append(line));
  return add(std::move(line["record"]), place);
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
    LS_ASSIGN_OR_RETURN(
        const OrderedJson line,
        parse_journal_line(file.bytes().substr(entry->place.begin, entry->place.size), path()));
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
