#pragma once
// What a stage decided about rows, in a file with one line a decision:
//   {"stage", "key", "settings"}                      first
//   {"row", "reason", "details"?}                     the row is dropped
//   {"row", "set": {...}}                             members for its extra_info
//   {"summary": {...}}                                last

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/os/output.h"
#include "base/status.h"

namespace longshot::curate {

// Which rows are still kept, and what the stages have set.
struct RowSet {
  std::vector<bool> alive;
  // By row: members of extra_info as JSON text, such as "tags":["a"]; empty while no stage has set
  // any.
  std::vector<std::string> members;

  explicit RowSet(size_t rows) : alive(rows, true) {}
  int64_t count() const;
  OrderedJson members_of(size_t row) const;
};

// Movable only. The file appears when finish() has been called.
class DecisionWriter {
 public:
  static Result<DecisionWriter> create(const std::filesystem::path& path,
                                       const OrderedJson& header);
  // Rows in ascending order. `details` may be null.
  Status drop(size_t row, const std::string& reason, const OrderedJson& details = nullptr);
  Status set(size_t row, const OrderedJson& members);
  Status finish(const OrderedJson& summary);

 private:
  explicit DecisionWriter(Output output) : output_(std::move(output)) {}
  Status write(const OrderedJson& line);
  Output output_;
  std::string buffer_;
};

// The first line of a decision file; null if there is no such file.
Result<OrderedJson> decision_header(const std::filesystem::path& path);

// Passes the lines after the first to `use`. Errors name the path and the line.
Status read_decisions(const std::filesystem::path& path,
                      const std::function<Status(const OrderedJson& line)>& use);

// Applies a file to the set.
Status apply_decisions(const std::filesystem::path& path, RowSet& rows);

}  // namespace longshot::curate
