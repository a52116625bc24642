#include "replay/replay_buffer.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/fs.h"

namespace longshot::replay {
namespace {

using data::Sample;
using data::Verdict;

constexpr int64_t kCompactAbove = int64_t{16} << 20;  // bytes; smaller journals are left alone

Json key_json(const Table::Key& key) {
  return Json::array({key.first, key.second});
}

Result<Table::Key> key_from_json(const Json& record) {
  LS_ASSIGN_OR_RETURN(const Json key, json_get<Json>(record, "key", "replay journal"));
  if (!key.is_array() || key.size() != 2 || !key[0].is_string() || !key[1].is_number_unsigned()) {
    return corrupt("replay journal: bad group key");
  }
  return Table::Key{key[0].get<std::string>(), key[1].get<uint64_t>()};
}

Table::Key key_of(const Sample& sample) {
  return {sample.prompt_id, sample.seed};
}

// Samples arrive in completion order; a group is always handed out by sample index.
data::Group to_group(Entry& entry) {
  std::vector<size_t> order(entry.samples.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return entry.samples[a].index < entry.samples[b].index; });
  data::Group group;
  group.prompt = entry.prompt;
  for (size_t i : order) {
    group.samples.push_back(std::move(entry.samples[i]));
    group.verdicts.push_back(std::move(entry.verdicts[i]));
  }
  return group;
}

Json open_record(const Entry& entry) {
  return {{"op", "open"},
          {"prompt", data::to_json(entry.prompt)},
          {"seed", entry.seed},
          {"expected", entry.expected}};
}

Json sample_record(const Sample& sample, const Verdict* verdict) {
  Json record = {{"op", "sample"}, {"sample", data::to_json(sample)}};
  if (verdict != nullptr) record["verdict"] = data::to_json(*verdict);
  return record;
}

}  // namespace

std::string Limits::debug_string() const {
  return fmt::format("staleness <= {}", staleness);
}

Entry& Table::open(const data::Prompt& prompt, uint64_t seed, int expected) {
  Entry& entry = entries_[{prompt.id, seed}];
  entry.prompt = prompt;
  entry.seed = seed;
  entry.expected = expected;
  entry.inserted = next_inserted_++;
  return entry;
}

Entry* Table::find(const Key& key) {
  const auto it = entries_.find(key);
  return it == entries_.end() ? nullptr : &it->second;
}

void Table::erase(const Key& key) {
  entries_.erase(key);
}

void Table::clear() {
  entries_.clear();
  next_inserted_ = 0;
}

std::vector<Entry*> Table::entries() {
  std::vector<Entry*> list;
  for (auto& [key, entry] : entries_) list.push_back(&entry);
  std::sort(list.begin(), list.end(), [](Entry* a, Entry* b) { return a->inserted < b->inserted; });
  return list;
}

ReplayBuffer::ReplayBuffer(std::string directory, std::unique_ptr<Selector> selector, Limits limits)
    : directory_(std::move(directory)), selector_(std::move(selector)), limits_(limits) {}

Status ReplayBuffer::start_journal(int64_t number) {
  std::vector<Json> none;
  journal_number_ = number;
  return journal_.open(
      (std::filesystem::path(directory_) / fmt::format("replay-{}.journal", number)).string(), 0,
      &none);
}

Status ReplayBuffer::start() {
  LS_RETURN_IF_ERROR(make_directories(directory_));
  table_.clear();
  return start_journal(0);
}

Status ReplayBuffer::restore(const Position& position) {
  table_.clear();
  if (std::sscanf(position.file.c_str(), "replay-%ld.journal", &journal_number_) != 1) {
    return corrupt("checkpoint names an unknown replay journal '" + position.file + "'");
  }
  std::vector<Json> records;
  LS_RETURN_IF_ERROR(journal_.open((std::filesystem::path(directory_) / position.file).string(),
                                   position.offset, &records));
  for (const Json& record : records) LS_RETURN_IF_ERROR(apply(record));
  compacted_size_ = 0;
  return ok_status();
}

// Every change is a record; restoring a journal runs through the same function.
Status ReplayBuffer::apply(const Json& record) {
  const std::string where = "replay journal";
  LS_ASSIGN_OR_RETURN(const auto op, json_get<std::string>(record, "op", where));
  if (op == "open") {
    LS_ASSIGN_OR_RETURN(const Json prompt_json, json_get<Json>(record, "prompt", where));
    LS_ASSIGN_OR_RETURN(const data::Prompt prompt, data::prompt_from_json(prompt_json, where));
    LS_ASSIGN_OR_RETURN(const auto seed, json_get<uint64_t>(record, "seed", where));
    LS_ASSIGN_OR_RETURN(const auto expected, json_get<int>(record, "expected", where));
    table_.open(prompt, seed, expected);
  } else if (op == "sample") {
    LS_ASSIGN_OR_RETURN(const Json sample_json, json_get<Json>(record, "sample", where));
    LS_ASSIGN_OR_RETURN(Sample sample, data::sample_from_json(sample_json, where));
    Entry* entry = table_.find(key_of(sample));
    if (entry == nullptr) return corrupt(where + ": sample of unknown group " + sample.prompt_id);
    if (!record.contains("verdict")) {
      entry->partials.push_back(std::move(sample));
      return ok_status();
    }
    LS_ASSIGN_OR_RETURN(Verdict verdict, data::verdict_from_json(record["verdict"], where));
    entry->samples.push_back(std::move(sample));
    entry->verdicts.push_back(std::move(verdict));
  } else if (op == "take_partials") {
    for (Entry* entry : table_.entries()) entry->partials.clear();
  } else if (op == "erase") {
    LS_ASSIGN_OR_RETURN(const Table::Key key, key_from_json(record));
    table_.erase(key);
  } else {
    return corrupt(where + ": unknown record '" + op + "'");
  }
  return ok_status();
}

Status ReplayBuffer::log_and_apply(const Json& record) {
  LS_RETURN_IF_ERROR(journal_.append(record));
  return apply(record);
}

Status ReplayBuffer::open_groups(const std::vector<data::Draw>& draws, int samples_per_group) {
  for (const data::Draw& draw : draws) {
    Entry entry;
    entry.prompt = draw.prompt;
    entry.seed = draw.seed;
    entry.expected = samples_per_group;
    LS_RETURN_IF_ERROR(log_and_apply(open_record(entry)));
  }
  return ok_status();
}

Status ReplayBuffer::insert(std::vector<Sample> samples, std::vector<Verdict> verdicts) {
  LS_CHECK(samples.size() == verdicts.size(), "one verdict a sample");
  for (size_t i = 0; i < samples.size(); ++i) {
    LS_CHECK(table_.find(key_of(samples[i])) != nullptr, "sample of a group that was not opened");
    const bool partial = samples[i].finish == data::FinishReason::partial;
    LS_RETURN_IF_ERROR(log_and_apply(sample_record(samples[i], partial ? nullptr : &verdicts[i])));
  }
  return ok_status();
}

Result<std::vector<Sample>> ReplayBuffer::take_partials() {
  std::vector<Sample> partials;
  for (Entry* entry : table_.entries()) {
    for (Sample& s : entry->partials) partials.push_back(s);
  }
  if (!partials.empty()) LS_RETURN_IF_ERROR(log_and_apply({{"op", "take_partials"}}));
  return partials;
}

Status ReplayBuffer::drop(const Table::Key& key, const std::string& reason) {
  return log_and_apply({{"op", "erase"}, {"key", key_json(key)}, {"reason", reason}});
}

int64_t ReplayBuffer::oldest_version(const Entry& entry) const {
  int64_t oldest = INT64_MAX;
  for (const Sample& s : entry.samples) {
    if (s.segments.empty()) continue;
    const auto& segment = limits_.train_earlier_segments ? s.segments.front() : s.segments.back();
    oldest = std::min(oldest, segment.version);
  }
  return oldest;
}

// An unfinished group only becomes older: it is not worth finishing.
Status ReplayBuffer::drop_stale(int64_t version) {
  if (limits_.staleness < 0) return ok_status();
  for (Entry* entry : table_.entries()) {
    if (oldest_version(*entry) >= version - limits_.staleness) continue;
    ++dropped_stale_;
    LS_RETURN_IF_ERROR(drop({entry->prompt.id, entry->seed}, "stale"));
  }
  return ok_status();
}

Result<std::vector<data::Group>> ReplayBuffer::take(size_t count, int64_t version, uint64_t draw) {
  LS_RETURN_IF_ERROR(drop_stale(version));
  std::vector<Entry*> complete;
  std::vector<Candidate> candidates;
  for (Entry* entry : table_.entries()) {
    if (!entry->complete()) continue;
    complete.push_back(entry);
    candidates.push_back({entry->inserted, oldest_version(*entry)});
  }
  std::vector<data::Group> groups;
  for (size_t i : selector_->select(candidates, count, draw)) {
    const Table::Key key{complete[i]->prompt.id, complete[i]->seed};
    groups.push_back(to_group(*complete[i]));
    LS_RETURN_IF_ERROR(drop(key, "taken"));
  }
  return groups;
}

const data::Prompt* ReplayBuffer::find_prompt(const std::string& prompt_id, uint64_t seed) {
  Entry* entry = table_.find({prompt_id, seed});
  return entry == nullptr ? nullptr : &entry->prompt;
}

// The present content as records that rebuild it.
Json ReplayBuffer::snapshot_records() {
  Json records = Json::array();
  for (Entry* entry : table_.entries()) {
    records.push_back(open_record(*entry));
    for (size_t i = 0; i < entry->samples.size(); ++i) {
      records.push_back(sample_record(entry->samples[i], &entry->verdicts[i]));
    }
    for (const Sample& s : entry->partials) records.push_back(sample_record(s, nullptr));
  }
  return records;
}

Result<Position> ReplayBuffer::checkpoint() {
  if (journal_.offset() > std::max(kCompactAbove, 4 * compacted_size_)) {
    const Json records = snapshot_records();
    LS_RETURN_IF_ERROR(start_journal(journal_number_ + 1));
    for (const Json& record : records) LS_RETURN_IF_ERROR(journal_.append(record));
    compacted_size_ = journal_.offset();
  }
  LS_RETURN_IF_ERROR(journal_.sync());
  LS_RETURN_IF_ERROR(fsync_path(directory_));
  return Position{std::filesystem::path(journal_.path()).filename().string(), journal_.offset()};
}

Status ReplayBuffer::remove_journals_except(const std::vector<std::string>& keep) {
  LS_ASSIGN_OR_RETURN(const auto files, list_files(directory_));
  for (const std::string& file : files) {
    const bool journal = file.rfind("replay-", 0) == 0 && file.size() > 8 &&
                         file.compare(file.size() - 8, 8, ".journal") == 0;
    if (!journal || std::find(keep.begin(), keep.end(), file) != keep.end()) continue;
    LS_RETURN_IF_ERROR(remove_tree(std::filesystem::path(directory_) / file));
  }
  return ok_status();
}

Metrics ReplayBuffer::take_metrics() {
  size_t partials = 0, waiting = 0;
  for (Entry* entry : table_.entries()) {
    partials += entry->partials.size();
    waiting += entry->complete();
  }
  Metrics metrics = {{"replay/groups", static_cast<double>(table_.size())},
                     {"replay/waiting", static_cast<double>(waiting)},
                     {"replay/partials", static_cast<double>(partials)},
                     {"replay/dropped_stale", static_cast<double>(dropped_stale_)},
                     {"replay/journal_bytes", static_cast<double>(journal_.offset())}};
  dropped_stale_ = 0;
  return metrics;
}

std::string ReplayBuffer::debug_string() const {
  return fmt::format("replay(selector {}, {})", selector_->debug_string(), limits_.debug_string());
}

}  // namespace longshot::replay
