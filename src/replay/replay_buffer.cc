#include "replay/replay_buffer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/os/fs.h"
#include "replay/records.h"

namespace longshot::replay {
namespace {

using data::Sample;
using data::Verdict;

Table::Key key_of(const Sample& sample) {
  return {sample.prompt_id, sample.seed};
}

// Samples arrive in completion order; a group is always handed out sorted by sample index.
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

Status write_entry(const Entry& entry, DurableFile& file) {
  LS_RETURN_IF_ERROR(file.write(record_bytes(open_record(entry))));
  for (size_t i = 0; i < entry.samples.size(); ++i)
    LS_RETURN_IF_ERROR(
        file.write(record_bytes(sample_record(entry.samples[i], &entry.verdicts[i]))));
  for (const Sample& s : entry.partials)
    LS_RETURN_IF_ERROR(file.write(record_bytes(sample_record(s, nullptr))));
  return ok_status();
}

Json trained_record(const TrainedGroup& trained) {
  Json record = {{"op", "trained"},
                 {"prompt", data::to_json(trained.group.prompt)},
                 {"reused", trained.reused},
                 {"samples", Json::array()},
                 {"verdicts", Json::array()}};
  for (const Sample& sample : trained.group.samples)
    record["samples"].push_back(data::to_json(sample));
  for (const Verdict& verdict : trained.group.verdicts)
    record["verdicts"].push_back(data::to_json(verdict));
  return record;
}

Result<TrainedGroup> trained_from_record(const Json& record, const std::string& where) {
  TrainedGroup trained;
  LS_ASSIGN_OR_RETURN(const Json prompt, json_get<Json>(record, "prompt", where));
  LS_ASSIGN_OR_RETURN(trained.group.prompt, data::prompt_from_json(prompt, where));
  LS_ASSIGN_OR_RETURN(trained.reused, json_get<int>(record, "reused", where));
  LS_ASSIGN_OR_RETURN(const Json samples, json_get<Json>(record, "samples", where));
  for (const Json& one : samples) {
    LS_ASSIGN_OR_RETURN(Sample sample, data::sample_from_json(one, where));
    trained.group.samples.push_back(std::move(sample));
  }
  LS_ASSIGN_OR_RETURN(const Json verdicts, json_get<Json>(record, "verdicts", where));
  for (const Json& one : verdicts) {
    LS_ASSIGN_OR_RETURN(Verdict verdict, data::verdict_from_json(one, where));
    trained.group.verdicts.push_back(std::move(verdict));
  }
  return trained;
}

// Applies a record to the table.
Status apply(const Json& record, const std::string& where, Table& table,
             std::vector<TrainedGroup>& trained) {
  LS_ASSIGN_OR_RETURN(const auto op, json_get<std::string>(record, "op", where));
  if (op == "open") {
    LS_ASSIGN_OR_RETURN(const Json prompt_json, json_get<Json>(record, "prompt", where));
    LS_ASSIGN_OR_RETURN(const data::Prompt prompt, data::prompt_from_json(prompt_json, where));
    LS_ASSIGN_OR_RETURN(const auto seed, json_get<uint64_t>(record, "seed", where));
    LS_ASSIGN_OR_RETURN(const auto expected, json_get<int>(record, "expected", where));
    table.open(prompt, seed, expected);
    return ok_status();
  }
  if (op == "trained") {
    LS_ASSIGN_OR_RETURN(TrainedGroup group, trained_from_record(record, where));
    trained.push_back(std::move(group));
    return ok_status();
  }
  if (op != "sample") return corrupt(where + ": unknown record '" + op + "'");
  LS_ASSIGN_OR_RETURN(const Json sample_json, json_get<Json>(record, "sample", where));
  LS_ASSIGN_OR_RETURN(Sample sample, data::sample_from_json(sample_json, where));
  Entry* entry = table.find(key_of(sample));
  if (entry == nullptr) return corrupt(where + ": sample of unknown group " + sample.prompt_id);
  if (!record.contains("verdict")) {
    entry->partials.push_back(std::move(sample));
    return ok_status();
  }
  LS_ASSIGN_OR_RETURN(Verdict verdict, data::verdict_from_json(record["verdict"], where));
  entry->samples.push_back(std::move(sample));
  entry->verdicts.push_back(std::move(verdict));
  return ok_status();
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

std::vector<Entry*> Table::entries() {
  std::vector<Entry*> list;
  for (auto& [key, entry] : entries_) list.push_back(&entry);
  std::sort(list.begin(), list.end(), [](Entry* a, Entry* b) { return a->inserted < b->inserted; });
  return list;
}

std::vector<const Entry*> Table::entries() const {
  std::vector<const Entry*> list;
  for (const auto& [key, entry] : entries_) list.push_back(&entry);
  std::sort(list.begin(), list.end(),
            [](const Entry* a, const Entry* b) { return a->inserted < b->inserted; });
  return list;
}

ReplayBuffer::ReplayBuffer(std::unique_ptr<Selector> selector, Limits limits)
    : selector_(std::move(selector)), limits_(limits) {}

void ReplayBuffer::mark() {
  marked_ = table_;
  marked_trained_ = trained_;
}

Status ReplayBuffer::save(const std::string& path) const {
  LS_ASSIGN_OR_RETURN(DurableFile file, DurableFile::create(path));
  for (const Entry* entry : marked_.entries()) LS_RETURN_IF_ERROR(write_entry(*entry, file));
  for (const TrainedGroup& trained : marked_trained_)
    LS_RETURN_IF_ERROR(file.write(record_bytes(trained_record(trained))));
  return file.close();
}

Status ReplayBuffer::load(const std::string& path) {
  LS_ASSIGN_OR_RETURN(const std::string bytes, read_file(path));
  LS_ASSIGN_OR_RETURN(const std::vector<Json> records, parse_records(bytes, path));
  Table table;
  std::vector<TrainedGroup> trained;
  for (const Json& record : records) LS_RETURN_IF_ERROR(apply(record, path, table, trained));
  table_ = std::move(table);
  trained_ = std::move(trained);
  mark();
  return ok_status();
}

Status ReplayBuffer::open_groups(const std::vector<data::Draw>& draws, int samples_per_group) {
  for (const data::Draw& draw : draws) {
    table_.open(draw.prompt, draw.seed, samples_per_group);
  }
  return ok_status();
}

Status ReplayBuffer::insert(std::vector<Sample> samples, std::vector<Verdict> verdicts) {
  LS_CHECK(samples.size() == verdicts.size(), "one verdict a sample");
  for (size_t i = 0; i < samples.size(); ++i) {
    Entry* entry = table_.find(key_of(samples[i]));
    LS_CHECK(entry != nullptr, "sample of a group that was not opened");
    if (samples[i].finish == data::FinishReason::partial) {
      entry->partials.push_back(std::move(samples[i]));
      continue;
    }
    entry->samples.push_back(std::move(samples[i]));
    entry->verdicts.push_back(std::move(verdicts[i]));
  }
  return ok_status();
}

Result<std::vector<Sample>> ReplayBuffer::take_partials() {
  std::vector<Sample> partials;
  for (Entry* entry : table_.entries()) {
    for (Sample& s : entry->partials) partials.push_back(std::move(s));
    entry->partials.clear();
  }
  return partials;
}

int64_t ReplayBuffer::oldest_version(const std::vector<Sample>& finished) const {
  int64_t oldest = INT64_MAX;
  for (const Sample& s : finished) {
    if (s.segments.empty()) continue;
    const auto& segment = limits_.train_earlier_segments ? s.segments.front() : s.segments.back();
    oldest = std::min(oldest, segment.version);
  }
  return oldest;
}

bool ReplayBuffer::is_stale(const std::vector<Sample>& finished, int64_t version) const {
  return limits_.staleness >= 0 && oldest_version(finished) < version - limits_.staleness;
}

// Drops unfinished groups too: they only become older, so finishing them would be wasted.
void ReplayBuffer::drop_stale(int64_t version) {
  for (Entry* entry : table_.entries()) {
    if (!is_stale(entry->samples, version)) continue;
    ++dropped_stale_;
    table_.erase({entry->prompt.id, entry->seed});
  }
}

Result<std::vector<data::Group>> ReplayBuffer::take(size_t count, int64_t version, uint64_t draw) {
  drop_stale(version);
  std::vector<Entry*> complete;
  std::vector<Candidate> candidates;
  for (Entry* entry : table_.entries()) {
    if (!entry->complete()) continue;
    complete.push_back(entry);
    candidates.push_back({entry->inserted, oldest_version(entry->samples)});
  }
  std::vector<data::Group> groups;
  for (size_t i : selector_->select(candidates, count, draw)) {
    const Table::Key key{complete[i]->prompt.id, complete[i]->seed};
    groups.push_back(to_group(*complete[i]));
    table_.erase(key);
  }
  return groups;
}

void ReplayBuffer::keep_trained(std::vector<data::Group> groups) {
  if (limits_.reuse == 0) return;
  for (data::Group& group : groups) trained_.push_back({std::move(group), 0});
  const size_t surplus = trained_.size() - std::min(trained_.size(), limits_.trained);
  trained_.erase(trained_.begin(), trained_.begin() + static_cast<ptrdiff_t>(surplus));
}

std::vector<data::Group> ReplayBuffer::take_trained(size_t count, int64_t version) {
  std::erase_if(trained_,
                [&](const TrainedGroup& t) { return is_stale(t.group.samples, version); });
  std::vector<data::Group> groups;
  for (size_t i = trained_.size(); i > 0 && groups.size() < count; --i) {
    ++trained_[i - 1].reused;
    groups.push_back(trained_[i - 1].group);
  }
  std::erase_if(trained_, [&](const TrainedGroup& t) { return t.reused >= limits_.reuse; });
  return groups;
}

size_t ReplayBuffer::reusable(int64_t version) const {
  return static_cast<size_t>(std::ranges::count_if(
      trained_, [&](const TrainedGroup& t) { return !is_stale(t.group.samples, version); }));
}

bool ReplayBuffer::has_last_chance(int64_t version) const {
  return std::ranges::any_of(table_.entries(), [&](const Entry* entry) {
    return !entry->complete() && !is_stale(entry->samples, version) &&
           is_stale(entry->samples, version + 1);
  });
}

const data::Prompt* ReplayBuffer::find_prompt(const std::string& prompt_id, uint64_t seed) {
  Entry* entry = table_.find({prompt_id, seed});
  return entry == nullptr ? nullptr : &entry->prompt;
}

std::map<Table::Key, data::Prompt> ReplayBuffer::unfinished() const {
  std::map<Table::Key, data::Prompt> prompts;
  for (const Entry* entry : table_.entries())
    if (!entry->complete()) prompts[{entry->prompt.id, entry->seed}] = entry->prompt;
  return prompts;
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
                     {"replay/dropped_stale", static_cast<double>(dropped_stale_)}};
  if (limits_.reuse > 0) metrics["replay/trained"] = static_cast<double>(trained_.size());
  dropped_stale_ = 0;
  return metrics;
}

std::string ReplayBuffer::debug_string() const {
  return fmt::format("replay(selector {}, {})", selector_->debug_string(), limits_.debug_string());
}

}  // namespace longshot::replay
