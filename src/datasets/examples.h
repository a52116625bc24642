#pragma once
// Rows -> examples of offline training, for any kind of example.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "datasets/rows.h"

namespace longshot::datasets {

// Encodes rows of one kind. The implementations are SupervisedEncoder, JudgedEncoder and
// PairEncoder. Not thread-safe.
template <typename Example>
class ExampleEncoder {
 public:
  virtual ~ExampleEncoder() = default;
  // The result depends only on the row. Errors name the row.
  virtual Result<Example> encode(const Row& row) = 0;
  // Tokens of the longest sequence of the example, which the maximum length limits.
  virtual int64_t longest(const Example& example) const = 0;
  // Tokens that a step on the example computes.
  virtual int64_t tokens(const Example& example) const = 0;
  // Logs once what the user should know about the rows encoded so far.
  virtual void report() {}
};

// Returns the example of the row; nullopt if it is longer than max_length tokens.
template <typename Example>
Result<std::optional<Example>> encode_within(ExampleEncoder<Example>& encoder, const Row& row,
                                             int max_length) {
  LS_ASSIGN_OR_RETURN(Example example, encoder.encode(row));
  if (encoder.longest(example) > max_length) return std::optional<Example>();
  return std::optional<Example>(std::move(example));
}

// Reads all rows of the files. Rows longer than max_length tokens are left out and counted in
// `dropped`; it is an error if no row is left.
template <typename Example>
Result<std::vector<Example>> read_examples(const std::vector<std::string>& files,
                                           ExampleEncoder<Example>& encoder, int max_length,
                                           int* dropped) {
  *dropped = 0;
  std::vector<Example> examples;
  LS_RETURN_IF_ERROR(for_each_row(files, [&](Row&& row) -> Status {
    LS_ASSIGN_OR_RETURN(auto example, encode_within(encoder, row, max_length));
    example ? examples.push_back(std::move(*example)) : void(++*dropped);
    return ok_status();
  }));
  encoder.report();
  if (!examples.empty()) return examples;
  if (*dropped == 0) return invalid_argument(fmt::format("no rows in {}", fmt::join(files, ", ")));
  return invalid_argument(fmt::format(
      "all {} rows are longer than {} tokens; raise the maximum length", *dropped, max_length));
}

}  // namespace longshot::datasets
