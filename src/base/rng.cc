#include "base/rng.h"

#include <xxhash.h>

#include <cmath>
#include <numbers>

#include "base/check.h"

namespace longshot {
namespace {

constexpr uint32_t kMul0 = 0xD2511F53, kMul1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;

std::array<uint32_t, 2> split(uint64_t v) {
  return {static_cast<uint32_t>(v), static_cast<uint32_t>(v >> 32)};
}

uint64_t join(uint32_t low, uint32_t high) {
  return low | (static_cast<uint64_t>(high) << 32);
}

double to_unit(uint64_t bits) {
  return static_cast<double>(bits >> 11) * 0x1.0p-53;
}

}  // namespace

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> c, std::array<uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const auto p0 = split(static_cast<uint64_t>(kMul0) * c[0]);
    const auto p1 = split(static_cast<uint64_t>(kMul1) * c[2]);
    c = {p1[1] ^ c[1] ^ k[0], p1[0], p0[1] ^ c[3] ^ k[1], p0[0]};
    k = {k[0] + kWeyl0, k[1] + kWeyl1};
  }
  return c;
}

uint64_t hash64(std::string_view text) {
  return XXH3_64bits(text.data(), text.size());
}

uint64_t hash_combine(uint64_t a, uint64_t b) {
  const auto words_a = split(a), words_b = split(b);
  const auto out =
      philox4x32({words_a[0], words_a[1], words_b[0], words_b[1]}, {0x6C6F6E67, 0x73686F74});
  return join(out[0], out[1]);
}

double sampling_uniform(uint64_t seed, uint64_t prompt, uint32_t sample, uint32_t position) {
  const auto p = split(prompt), s = split(seed);
  const auto out = philox4x32({p[0], p[1], sample, position}, {s[0], s[1]});
  return to_unit(join(out[0], out[1])) + 0x1.0p-54;  // never 0 and never 1
}

uint64_t CounterRng::next_u64() {
  const auto c = split(counter_++), k = split(key_);
  const auto out = philox4x32({c[0], c[1], 0x636F756E, 0x74657200}, k);
  return join(out[0], out[1]);
}

double CounterRng::next_double() {
  return to_unit(next_u64());
}

double CounterRng::next_normal() {
  const double u1 = 1.0 - next_double(), u2 = next_double();
  return std::sqrt(-2.0 * std::log(u1)) * std::cos(2.0 * std::numbers::pi * u2);
}

uint64_t CounterRng::next_below(uint64_t bound) {
  LS_CHECK(bound > 0, "bound must be positive");
  const uint64_t limit = bound * ((~uint64_t{0}) / bound);  // reject the biased tail
  uint64_t draw = next_u64();
  while (draw >= limit) draw = next_u64();
  return draw % bound;
}

int64_t CounterRng::next_int(int64_t low, int64_t high) {
  LS_CHECK(low <= high, "empty range");
  return low + static_cast<int64_t>(next_below(static_cast<uint64_t>(high - low) + 1));
}

}  // namespace longshot
