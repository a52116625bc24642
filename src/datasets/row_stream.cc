#include "datasets/row_stream.h"

#include <fmt/format.h>

#include <filesystem>
#include <numeric>

#include "base/os/sampled_checksum.h"
#include "base/rng.h"
#include "datasets/files.h"

namespace longshot::datasets {
namespace {

// Blocks of 64 KiB that the fingerprint of a file covers.
constexpr size_t kSamples = 8;

}  // namespace

Result<RowStream> RowStream::open(const std::vector<std::string>& files, int64_t piece_bytes) {
  LS_ASSIGN_OR_RETURN(const auto paths, find_files(files));
  RowStream stream;
  for (const std::string& path : paths) LS_RETURN_IF_ERROR(stream.add_shard(path, piece_bytes));
  stream.start();
  return stream;
}

Status RowStream::add_shard(const std::string& path, int64_t piece_bytes) {
  std::error_code error;
  if (path == "-" || std::filesystem::is_other(path, error)) {
    return invalid_argument(
        path + " is a pipe, which can be read only once; write its rows to a file to stream them");
  }
  LS_ASSIGN_OR_RETURN(const auto reader, open_shard(path));
  LS_ASSIGN_OR_RETURN(const uint64_t fingerprint, sampled_checksum(path, kSamples));
  const auto borders = reader->borders(piece_bytes);
  for (size_t i = 1; i < borders.size(); ++i)
    pieces_.push_back({shards_.size(), borders[i - 1], borders[i]});
  shards_.push_back({path, fingerprint});
  return ok_status();
}

void RowStream::start(std::optional<uint64_t> key) {
  key_ = key;
  order_.resize(pieces_.size());
  std::iota(order_.begin(), order_.end(), size_t{0});
  if (key) CounterRng(*key).shuffle(order_);
  piece_ = 0;
  entered_ = false;
  reader_.reset();
}

Status RowStream::open_reader(size_t shard) {
  if (reader_ && reader_shard_ == shard) return ok_status();
  LS_ASSIGN_OR_RETURN(reader_, open_shard(shards_[shard].path));
  reader_shard_ = shard;
  reader_ended_ = 0;
  return ok_status();
}

// A reader that comes from the piece before in the same file is already in the right place, and
// knows its line.
Status RowStream::enter(const Piece& piece) {
  LS_RETURN_IF_ERROR(open_reader(piece.shard));
  if (reader_ended_ != piece.begin)
    LS_RETURN_IF_ERROR(reader_->seek({piece.begin, piece.begin == 0 ? 1 : 0}));
  entered_ = true;
  return ok_status();
}

Result<std::optional<Row>> RowStream::next() {
  for (; piece_ < order_.size(); ++piece_, entered_ = false) {
    if (!entered_) LS_RETURN_IF_ERROR(enter(piece()));
    LS_ASSIGN_OR_RETURN(auto row, reader_->next(piece().end));
    if (row) return row;
    reader_ended_ = piece().end;
  }
  return std::optional<Row>();
}

Json RowStream::position() const {
  Json shards = Json::array();
  for (const Shard& shard : shards_) shards.push_back(shard.fingerprint);
  Json position = {{"files", std::move(shards)}, {"piece", piece_}};
  if (key_) position["order"] = *key_;
  if (entered_) {
    position["offset"] = reader_->place().offset;
    position["line"] = reader_->place().line;
  }
  return position;
}

Status RowStream::check_shards(const Json& position, const std::string& where) const {
  LS_ASSIGN_OR_RETURN(const auto before, json_get<std::vector<uint64_t>>(position, "files", where));
  if (before.size() != shards_.size()) {
    return invalid_argument(fmt::format("{}: the data set had {} files and has {} now", where,
                                        before.size(), shards_.size()));
  }
  for (size_t i = 0; i < before.size(); ++i) {
    if (before[i] == shards_[i].fingerprint) continue;
    return invalid_argument(
        fmt::format("{}: {} has another content now; put the file back, or start a new run", where,
                    shards_[i].path));
  }
  return ok_status();
}

Status RowStream::seek(const Json& position, const std::string& where) {
  LS_RETURN_IF_ERROR(check_shards(position, where));
  std::optional<uint64_t> key;
  if (position.contains("order")) {
    LS_ASSIGN_OR_RETURN(key, json_get<uint64_t>(position, "order", where));
  }
  start(key);
  LS_ASSIGN_OR_RETURN(const auto piece_index, json_get<uint64_t>(position, "piece", where));
  if (piece_index > order_.size()) return corrupt(where + ": 'piece' is beyond the data set");
  piece_ = piece_index;
  if (!position.contains("offset") || piece_ == order_.size()) return ok_status();
  Place place;
  LS_ASSIGN_OR_RETURN(place.offset, json_get<int64_t>(position, "offset", where));
  LS_ASSIGN_OR_RETURN(place.line, json_get<int64_t>(position, "line", where));
  LS_RETURN_IF_ERROR(open_reader(piece().shard));
  entered_ = true;
  return reader_->seek(place);
}

}  // namespace longshot::datasets
