#pragma once
// Counter-based randomness: every draw is a pure function of a key and a counter (Philox 4x32-10,
// Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). Nothing here has hidden
// state, so batch size, threads, scheduling, preemption and resume cannot change a draw.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace longshot {

// Ten Philox rounds on a 128-bit counter under a 64-bit key.
std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// Stable 64-bit hash of a string (XXH3), the same on every machine.
uint64_t hash64(std::string_view text);
// Order-dependent mix of two 64-bit values.
uint64_t hash_combine(uint64_t a, uint64_t b);

// Returns the uniform draw in (0, 1) for one generated token.
//   seed: the run's seed; prompt: hash64 of the prompt id; sample: index within the group;
//   position: index of the token within the response.
double sampling_uniform(uint64_t seed, uint64_t prompt, uint32_t sample, uint32_t position);

// A stream of draws under one key. Its whole state is `counter`, which a checkpoint can store.
class CounterRng {
 public:
  explicit CounterRng(uint64_t key, uint64_t counter = 0) : key_(key), counter_(counter) {}

  uint64_t next_u64();
  double next_double();                         // uniform in [0, 1)
  double next_normal();                         // standard normal (Box-Muller, two draws per call)
  uint64_t next_below(uint64_t bound);          // uniform in [0, bound); bound > 0
  int64_t next_int(int64_t low, int64_t high);  // uniform in [low, high], both included

  // Fisher-Yates.
  template <typename T>
  void shuffle(std::vector<T>& items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[next_below(i)]);
  }

  uint64_t key() const { return key_; }
  uint64_t counter() const { return counter_; }

 private:
  uint64_t key_;
  uint64_t counter_;
};

}  // namespace longshot
