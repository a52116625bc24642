#pragma once
// What became of the samples of a selection.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/metrics.h"
#include "curate/select/rules.h"

namespace longshot::curate {

class SelectFunnel {
 public:
  void add(const JudgedPrompt& prompt, const Selection& selection);

  int64_t rows() const { return rows_; }
  int64_t samples() const { return samples_; }
  // Counts of prompts, samples and rows, dropped samples by reason, and a few examples of each.
  OrderedJson to_json() const;
  std::string to_text() const;

 private:
  void add_example(const JudgedPrompt& prompt, const Drop& drop);

  int64_t prompts_ = 0, with_rows_ = 0, samples_ = 0, used_ = 0, rows_ = 0;
  Summary tokens_;  // of used samples with a known number
  std::map<DropReason, int64_t> dropped_;
  std::map<DropReason, OrderedJson> examples_;
};

}  // namespace longshot::curate
