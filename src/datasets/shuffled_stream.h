#pragma once
// The rows of a data set that is too large for memory, converted to items in a random order that
// depends only on (seed, epoch, capacity, files).
//
// An epoch is a pass of RowStream with its pieces in random order. It is cut into blocks of
// `capacity` items; each block is read into memory and shuffled. Two rows of an epoch can therefore
// be in the same block wherever they are in the files, but rows of one piece (256 KiB of JSONL)
// come close to one another unless the block holds many pieces. With a capacity of the whole data
// set the order is a uniform permutation. With parquet files of a single row group larger than the
// capacity, only rows nearer than the capacity are mixed.
//
// A position is the start of the block and the number of items taken from it. Continuing reads one
// block again.

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "datasets/row_stream.h"

namespace longshot::datasets {

// Movable only. Not thread-safe. After an error the same call gives the error again.
template <typename Item>
class ShuffledStream {
 public:
  // Returns the item of a row, or nullopt to leave the row out. It must depend on the row alone.
  using Convert = std::function<Result<std::optional<Item>>(const Row& row)>;

  // capacity >= 1.
  ShuffledStream(RowStream rows, size_t capacity, uint64_t seed, Convert convert)
      : rows_(std::move(rows)), capacity_(capacity), seed_(seed), convert_(std::move(convert)) {
    start_epoch(0);
  }

  // Returns the next item of the epoch without taking it; nullptr at the end of the epoch. Valid
  // until the next call that is not const.
  Result<const Item*> peek() {
    LS_RETURN_IF_ERROR(fill());
    return items_.empty() ? nullptr : &items_[taken_];
  }
  // Takes the item that peek() has returned.
  Item take() {
    Item item = std::move(items_[taken_++]);
    ++given_;
    if (taken_ == items_.size()) start_block(block_ + 1);
    return item;
  }
  void next_epoch() { start_epoch(epoch_ + 1); }

  // Reads the current block. Returns its items that have not been taken.
  Result<std::span<const Item>> block() {
    LS_RETURN_IF_ERROR(fill());
    return std::span<const Item>(items_).subspan(taken_);
  }

  int64_t epoch() const { return epoch_; }
  // Of this epoch so far: items taken, and rows left out up to the end of the current block.
  int64_t given() const { return given_; }
  int64_t dropped() const { return dropped_; }

  // For a checkpoint.
  Json position() const {
    return {{"epoch", epoch_},
            {"block", block_},
            {"start", start_},
            {"taken", taken_},
            {"dropped", dropped_before_},
            {"given", given_},
            {"capacity", capacity_}};
  }
  // `where` names the position in errors. A position of another capacity is an error.
  Status seek(const Json& position, const std::string& where) {
    LS_ASSIGN_OR_RETURN(const auto capacity, json_get<uint64_t>(position, "capacity", where));
    if (capacity != capacity_) {
      return invalid_argument(fmt::format(
          "{}: data.shuffle_buffer was {}; set that back to continue this run", where, capacity));
    }
    LS_ASSIGN_OR_RETURN(const Json start, json_get<Json>(position, "start", where));
    LS_RETURN_IF_ERROR(rows_.seek(start, where));
    LS_ASSIGN_OR_RETURN(epoch_, json_get<int64_t>(position, "epoch", where));
    LS_ASSIGN_OR_RETURN(dropped_, json_get<int64_t>(position, "dropped", where));
    LS_ASSIGN_OR_RETURN(given_, json_get<int64_t>(position, "given", where));
    LS_ASSIGN_OR_RETURN(const auto block, json_get<int64_t>(position, "block", where));
    LS_ASSIGN_OR_RETURN(const auto taken, json_get<uint64_t>(position, "taken", where));
    start_block(block);
    if (taken == 0) return ok_status();
    LS_RETURN_IF_ERROR(fill());
    if (taken >= items_.size())
      return corrupt(where + ": 'taken' is not less than the number of rows in the block");
    taken_ = taken;
    return ok_status();
  }

 private:
  void start_epoch(int64_t epoch) {
    epoch_ = epoch;
    given_ = dropped_ = 0;
    rows_.start(hash_combine(seed_, static_cast<uint64_t>(epoch)));
    start_block(0);
  }

  void start_block(int64_t block) {
    block_ = block;
    start_ = rows_.position();
    dropped_before_ = dropped_;
    taken_ = 0;
    items_.clear();
    filled_ = false;
  }

  Status fill() {
    if (!failed_.ok()) return failed_;
    if (!filled_) failed_ = read_block();
    return failed_;
  }

  Status read_block() {
    while (items_.size() < capacity_) {
      LS_ASSIGN_OR_RETURN(const std::optional<Row> row, rows_.next());
      if (!row) break;
      LS_ASSIGN_OR_RETURN(std::optional<Item> item, convert_(*row));
      item ? items_.push_back(std::move(*item)) : void(++dropped_);
    }
    const uint64_t epoch_key = hash_combine(seed_, static_cast<uint64_t>(epoch_));
    CounterRng(hash_combine(epoch_key, static_cast<uint64_t>(block_))).shuffle(items_);
    filled_ = true;
    return ok_status();
  }

  RowStream rows_;
  size_t capacity_;
  uint64_t seed_;
  Convert convert_;
  int64_t epoch_ = 0, block_ = 0;  // the block's number in the epoch
  Json start_;                     // of the block: a position of rows_
  int64_t dropped_before_ = 0;     // rows left out before the block
  std::vector<Item> items_;        // of the block
  bool filled_ = false;            // items_ has been read
  size_t taken_ = 0;
  int64_t given_ = 0, dropped_ = 0;
  Status failed_;
};

}  // namespace longshot::datasets
