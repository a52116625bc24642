#pragma once
// The rows of a data set that is too large for memory: one after another, in the order of the files
// or in a random order, with a position that a checkpoint can hold.
//
// The files ("shards") are divided into pieces: parts of 256 KiB of a JSONL file, row groups of a
// parquet file. A pass reads every piece once. Within a piece the rows keep their order. In a
// random pass, the order of the pieces is a uniform permutation that a key determines, so rows of
// all files and of all parts of a file are mixed; datasets/shuffled_stream.h mixes the rows of
// neighbouring pieces. A compressed JSONL file is a single piece, and so is a parquet file with a
// single row group.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "datasets/shard.h"

namespace longshot::datasets {

// Movable only. Not thread-safe.
class RowStream {
 public:
  static constexpr int64_t kPieceBytes = int64_t{1} << 18;

  // `files` may be patterns (datasets/files.h). Reads a few blocks of each file for a fingerprint,
  // and the footers of parquet files. A pipe is an error, because it can be read only once.
  static Result<RowStream> open(const std::vector<std::string>& files,
                                int64_t piece_bytes = kPieceBytes);

  // Begins a pass: in the order of the files, or in the random order of `key`. A new stream is at
  // the start of a pass in the order of the files.
  void start(std::optional<uint64_t> key = std::nullopt);

  // Returns the next row; nullopt at the end of the pass.
  Result<std::optional<Row>> next();

  // Where the next row will be read, together with the order of the pass and the fingerprints of
  // the files.
  Json position() const;
  // Continues from a position. Only the file of that position is opened, and it is not read from
  // its beginning. Returns an error that names the file if a file has changed since. `where` names
  // the position in errors.
  Status seek(const Json& position, const std::string& where);

 private:
  struct Shard {
    std::string path;
    uint64_t fingerprint = 0;
  };
  struct Piece {
    size_t shard = 0;
    int64_t begin = 0, end = 0;  // offsets of the shard
  };

  RowStream() = default;
  Status add_shard(const std::string& path, int64_t piece_bytes);
  Status check_shards(const Json& position, const std::string& where) const;
  Status open_reader(size_t shard);
  Status enter(const Piece& piece);
  const Piece& piece() const { return pieces_[order_[piece_]]; }

  std::vector<Shard> shards_;
  std::vector<Piece> pieces_;
  std::optional<uint64_t> key_;  // of this pass
  std::vector<size_t> order_;    // of the pieces in this pass
  size_t piece_ = 0;             // index in order_
  bool entered_ = false;         // the reader is within the piece
  std::unique_ptr<ShardReader> reader_;
  size_t reader_shard_ = 0;   // whose reader this is
  int64_t reader_ended_ = 0;  // the reader has come to the end of the piece that ends here
};

}  // namespace longshot::datasets
