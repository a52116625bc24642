#pragma once
// Made-up pairs for the tests of this folder.

#include <algorithm>
#include <vector>

#include "base/rng.h"
#include "train/preference/dpo_trainer.h"

namespace longshot::train {

// Random prompts of 4 to 9 tokens; chosen responses contain a 7, rejected ones a 9, and their
// lengths differ. Some responses have a token in the middle that is not of the response.
struct TestPairs {
  std::vector<std::vector<data::TokenId>> tokens;
  std::vector<std::vector<uint8_t>> masks;
  std::vector<PairSequences> pairs;
  std::vector<DpoRow> rows;  // with made-up log-probabilities of the reference

  explicit TestPairs(int count) {
    CounterRng rng(11);
    std::vector<int> prompts;
    for (int i = 0; i < count; ++i) {
      const int prompt = 4 + i % 6;
      std::vector<data::TokenId> shared;
      for (int t = 0; t < prompt; ++t)
        shared.push_back(static_cast<data::TokenId>(10 + rng.next_below(20)));
      for (const int mark : {7, 9}) {
        std::vector<data::TokenId> s = shared;
        s.push_back(static_cast<data::TokenId>(mark));
        for (int64_t t = rng.next_int(1, 8); t > 0; --t)
          s.push_back(static_cast<data::TokenId>(10 + rng.next_below(20)));
        s.push_back(3);
        std::vector<uint8_t> mask(s.size(), 1);
        std::fill_n(mask.begin(), prompt, uint8_t{0});
        if (i % 5 == 4) mask[mask.size() - 2] = 0;
        tokens.push_back(std::move(s));
        masks.push_back(std::move(mask));
      }
      prompts.push_back(prompt);
    }
    for (size_t i = 0; i < prompts.size(); ++i) {
      pairs.push_back(
          {{tokens[2 * i], masks[2 * i]}, {tokens[2 * i + 1], masks[2 * i + 1]}, prompts[i]});
      rows.push_back({pairs.back(), {-20 - 4 * rng.next_double(), -20 - 4 * rng.next_double()}});
    }
  }
};

}  // namespace longshot::train
