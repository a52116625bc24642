#pragma once
// The figures of judged samples. They contain no times, so that equal samples give equal figures.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/metrics.h"
#include "curate/samples/judged_prompt.h"

namespace longshot::curate {

class SampleSummary {
 public:
  void add(const JudgedPrompt& prompt);

  // "accuracy" is the mean over prompts of the share of correct samples among those judged, with
  // its 95 % interval (eval::cluster_interval()); "pass_at_n" is the share of prompts with a
  // correct sample. Failed samples count in neither. Lengths are in tokens, of samples whose number
  // of tokens is known.
  OrderedJson to_json() const;
  // For people, several lines.
  std::string to_text() const;

 private:
  void add_error(const std::string& error);

  int64_t prompts_ = 0, samples_ = 0, judged_ = 0, errors_ = 0, tokens_ = 0;
  int64_t solved_ = 0, all_correct_ = 0;
  std::vector<double> rates_;  // of prompts with a judged sample
  std::map<std::string, Summary> by_source_;
  std::map<std::string, int64_t> reasons_, finishes_;
  Summary lengths_, correct_lengths_, wrong_lengths_;
};

}  // namespace longshot::curate
