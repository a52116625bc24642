#pragma once
// Guesses the tokens that a sample will draw next: those that followed the same last tokens before,
// in its own text or in other samples of its group (prompt lookup and n-gram statistics). Uses ids
// only, no model. A guess changes how fast tokens are drawn, never which. Not thread-safe.

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace longshot::rollout {

struct Draft {
  std::vector<int32_t> tokens;
  std::vector<float> odds;  // odds[i]: estimated probability that tokens[0..i] will all be drawn
};

// Cuts `drafts`, one for each decoding sequence, to the guesses that are expected to make
// generation faster: those that add more tokens for the row they cost than the pass gives per row
// on average without them. `overhead_rows`: see Runner.
void keep_worthwhile(std::vector<Draft>& drafts, double overhead_rows);

class Drafter {
 public:
  // Uses 16 bytes for each of 2^log2_contexts contexts. New contexts replace the least confirmed
  // ones.
  explicit Drafter(int log2_contexts = 20);

  // To be called with all of a sample's tokens whenever some were added, before propose(). The
  // first `shared` tokens are the prompt of `group`. Each new response token is also compared with
  // the guess the drafter would have made; this estimates its accuracy.
  void follow(int64_t id, uint64_t group, std::span<const int32_t> tokens, int shared);
  // Returns at most `max_tokens` tokens that may follow `tokens`, for which follow() was called.
  // Ends where the odds fall to `min_odds`.
  Draft propose(int64_t id, std::span<const int32_t> tokens, int max_tokens, double min_odds) const;
  // To be called when the sample has ended with these tokens. Its statistics are kept. Does nothing
  // if follow() was never called for the sample.
  void leave(int64_t id, std::span<const int32_t> tokens);

 private:
  static constexpr std::array kOrders = {2, 3, 5, 8};  // lengths of a context, in tokens
  static constexpr int kLongest = kOrders.back();
  static constexpr int kClasses = 4;
  // Keys of the contexts that end a text, by length; 0: the text is too short.
  using Keys = std::array<uint64_t, kOrders.size()>;

  // The token that followed a context, by majority vote, so that one token and one number are
  // enough.
  struct Context {
    uint64_t key = 0;
    int32_t token = -1;
    int32_t votes = 0;
  };
  // How often a guess was right.
  struct Record {
    float odds = 0.5f;
    int seen = 1;
    void add(bool right);
  };
  struct Guess {
    int32_t token = -1;  // -1: none
    float odds = 0;
  };
  struct State {
    uint64_t group = 0;
    size_t seen = 0;
    int run = 0;  // number of last guesses in a row that were right
  };

  static Keys keys_after(uint64_t group, std::span<const int32_t> text);
  const Context* find(uint64_t key) const;
  void learn(const Keys& keys, int32_t token);
  void vote(uint64_t key, int32_t token);
  void score(const Keys& keys, State& state, int32_t token);
  static size_t kind(size_t order, int votes, int run);
  Guess guess(const Keys& keys, int run) const;

  std::vector<Context> contexts_;                                     // [sets][kWays]
  std::array<Record, kOrders.size() * kClasses * kClasses> records_;  // by kind()
  std::map<int64_t, State> states_;
  std::map<uint64_t, int> members_;  // by group
};

}  // namespace longshot::rollout
