#include "eval/sample_records.h"

namespace longshot::eval {

std::vector<SampleRecord> sample_records(const std::vector<data::Group>& groups, int limit,
                                         const tokenizer::Tokenizer& tokenizer) {
  std::vector<SampleRecord> records;
  for (const data::Group& group : groups) {
    const std::string prompt = tokenizer.decode(group.prompt.tokens, false);
    for (size_t i = 0; i < group.samples.size(); ++i) {
      if (limit >= 0 && static_cast<int>(records.size()) >= limit) return records;
      const data::Sample& s = group.samples[i];
      const data::Verdict& v = group.verdicts[i];
      SampleRecord& r = records.emplace_back();
      r.prompt_id = s.prompt_id;
      r.prompt = prompt;
      r.response = s.text;
      if (v.scored) r.score = v.score;
      r.correct = v.correct;
      r.components = v.components;
      for (const auto& [reward, steps] : v.step_values)
        r.step_values[reward] = data::to_json(steps);
      r.answer = v.answer;
      r.ground_truth = group.prompt.ground_truth;
      r.finish = data::finish_reason_name(s.finish);
      r.tokens = static_cast<int64_t>(s.tokens.size());
      r.error = v.error;
    }
  }
  return records;
}

}  // namespace longshot::eval
