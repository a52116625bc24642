#include "eval/sample_records.h"

namespace longshot::eval {
namespace {

std::string prompt_text(const data::Prompt& prompt) {
  if (prompt.messages.empty()) return prompt.text;
  std::string text;
  for (const data::Message& m : prompt.messages) text += m.role + ": " + m.content.text() + "\n";
  return text;
}

}  // namespace

std::vector<SampleRecord> sample_records(const std::vector<data::Group>& groups, int limit) {
  std::vector<SampleRecord> records;
  for (const data::Group& group : groups) {
    for (size_t i = 0; i < group.samples.size(); ++i) {
      if (limit >= 0 && static_cast<int>(records.size()) >= limit) return records;
      const data::Sample& s = group.samples[i];
      const data::Verdict& v = group.verdicts[i];
      SampleRecord& r = records.emplace_back();
      r.prompt_id = s.prompt_id;
      r.prompt = prompt_text(group.prompt);
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
