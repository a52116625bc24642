#pragma once
// The table behind changed_words(): a shuffle for each set of eight words.

#include <array>
#include <cstddef>
#include <cstdint>

namespace longshot::kernels {

using WordOrder = std::array<uint8_t, 16>;  // of bytes

// Bit i of the index says that word i belongs to the set. The shuffle moves the words of the set to
// the front, in order; what follows them is unspecified.
constexpr std::array<WordOrder, 256> word_orders() {
  std::array<WordOrder, 256> orders{};
  for (unsigned set = 0; set < 256; ++set) {
    size_t at = 0;
    for (unsigned word = 0; word < 8; ++word) {
      if ((set >> word & 1) == 0) continue;
      orders[set][at++] = static_cast<uint8_t>(2 * word);
      orders[set][at++] = static_cast<uint8_t>(2 * word + 1);
    }
  }
  return orders;
}
alignas(16) inline constexpr std::array<WordOrder, 256> kWordOrders = word_orders();

}  // namespace longshot::kernels
