#include "curate/stages/row_store.h"

#include <fmt/format.h>

#include <future>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/os/output.h"
#include "base/os/stop.h"
#include "base/rng.h"
#include "datasets/files.h"
#include "datasets/shard.h"

namespace longshot::curate {
namespace {

constexpr size_t kBatch = 2048;  // rows

struct Written {
  std::string id, line, words;
};

struct Batch {
  Status status;  // of the first row that failed
  std::vector<Written> rows;
};

std::string line_of(const std::string& where, const OrderedJson& row) {
  return dump_json(OrderedJson{{"where", where}, {"row", row}});
}

Result<Written> written(const datasets::Row& row, const RowOptions& options) {
  LS_ASSIGN_OR_RETURN(const data::Prompt problem, parse_problem(row, options));
  return Written{problem.id, line_of(row.where, verl_row(problem)),
                 problem_words(problem, options)};
}

Batch written_batch(const std::vector<datasets::Row>& rows, const RowOptions& options) {
  Batch batch;
  for (const datasets::Row& row : rows) {
    Result<Written> result = written(row, options);
    batch.status = result.status();
    if (!result.ok()) break;
    batch.rows.push_back(std::move(*result));
  }
  return batch;
}

// Writes both files; rows are converted on another thread while the next ones are read.
class RowWriter {
 public:
  RowWriter(const CurateOptions& options, Output rows, Output words, const RowProgress& progress)
      : options_(options),
        rows_(std::move(rows)),
        words_(std::move(words)),
        on_progress_(progress) {}

  Status add_file(const std::string& path) {
    LS_ASSIGN_OR_RETURN(const auto shard, datasets::open_shard(path));
    while (true) {
      LS_ASSIGN_OR_RETURN(auto row, shard->next());
      if (!row) return ok_status();
      batch_.push_back(std::move(*row));
      if (batch_.size() == kBatch) LS_RETURN_IF_ERROR(convert());
    }
  }

  Status finish() {
    LS_RETURN_IF_ERROR(convert());
    LS_RETURN_IF_ERROR(take());
    LS_RETURN_IF_ERROR(words_.finish());
    return rows_.finish();
  }

 private:
  Status convert() {
    if (stop_requested()) return cancelled("stopped");
    LS_RETURN_IF_ERROR(take());
    const auto policy = options_.threads > 1 ? std::launch::async : std::launch::deferred;
    converted_ = std::async(policy, [rows = std::exchange(batch_, {}), this] {
      return written_batch(rows, options_.rows);
    });
    return ok_status();
  }

  Status take() {
    if (!converted_.valid()) return ok_status();
    Batch batch = converted_.get();
    std::string rows, words;
    for (Written& row : batch.rows) {
      LS_RETURN_IF_ERROR(make_unique(row));
      rows.append(row.line).append("\n");
      words.append(row.words).append("\n");
    }
    done_ += static_cast<int64_t>(batch.rows.size());
    on_progress_(done_);
    LS_RETURN_IF_ERROR(rows_.write(rows));
    LS_RETURN_IF_ERROR(words_.write(words));
    return batch.status;
  }

  Status make_unique(Written& row) {
    uint32_t& count = ids_[hash64(row.id)];
    if (count == 0) {
      count = 1;
      return ok_status();
    }
    LS_ASSIGN_OR_RETURN(OrderedJson json, parse_ordered_json(row.line, "row"));
    const std::string id = json["row"]["id"];
    std::string suffix;
    do suffix = fmt::format("#{}", ++count);
    while (ids_.contains(hash64(row.id + suffix)));
    ids_[hash64(row.id + suffix)] = 1;
    json["row"]["id"] = id + suffix;
    row.line = dump_json(json);
    return ok_status();
  }

  const CurateOptions& options_;
  Output rows_, words_;
  const RowProgress& on_progress_;
  std::vector<datasets::Row> batch_;
  std::future<Batch> converted_;
  std::unordered_map<uint64_t, uint32_t> ids_;  // hash of an id -> rows that have it
  int64_t done_ = 0;
};

}  // namespace

Status write_rows(const CurateOptions& options, const std::filesystem::path& folder,
                  const RowProgress& on_progress) {
  LS_ASSIGN_OR_RETURN(const auto files, datasets::find_files(options.files));
  LS_ASSIGN_OR_RETURN(Output rows, Output::open(folder / "rows.jsonl"));
  LS_ASSIGN_OR_RETURN(Output words, Output::open(folder / "words.txt"));
  RowWriter writer(options, std::move(rows), std::move(words), on_progress);
  for (const std::string& file : files) LS_RETURN_IF_ERROR(writer.add_file(file));
  return writer.finish();
}

Result<RowStore> RowStore::open(const std::filesystem::path& folder) {
  LS_ASSIGN_OR_RETURN(LineFile rows, LineFile::open(folder / "rows.jsonl"));
  LS_ASSIGN_OR_RETURN(LineFile words, LineFile::open(folder / "words.txt"));
  if (rows.lines() != words.lines())
    return corrupt(folder.string() + ": rows.jsonl and words.txt do not have the same rows");
  return RowStore(std::move(rows), std::move(words));
}

Result<OrderedJson> RowStore::read(size_t row) const {
  std::string line;
  LS_RETURN_IF_ERROR(rows_.read(row, line));
  return parse_ordered_json(line, fmt::format("rows.jsonl:{}", row + 1));
}

// A quotation mark inside a text is escaped, so the mark below begins the member itself.
Result<OrderedJson> RowStore::read_names(size_t row) const {
  std::string line;
  LS_RETURN_IF_ERROR(rows_.read(row, line));
  const size_t end = line.find(",\"prompt\":");
  return parse_ordered_json(line.substr(0, end) + (end == std::string::npos ? "" : "}}"),
                            fmt::format("rows.jsonl:{}", row + 1));
}

std::string full_id(const OrderedJson& row) {
  const std::string id = row["id"];
  const auto source = row.find("data_source");
  return source == row.end() ? id : source->get<std::string>() + "/" + id;
}

std::string_view row_text(std::string_view line) {
  constexpr std::string_view kMark = ",\"row\":";
  const size_t begin = line.find(kMark) + kMark.size();
  return line.substr(begin, line.size() - begin - 1);
}

}  // namespace longshot::curate
