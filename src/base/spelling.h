#pragma once
// Enumerations whose values have a spelling that users read and write. The spellings are one table,
// a function beside the enumeration that is found through its argument:
//
//   enum class Order { uniform, curriculum };
//   constexpr auto spellings(Order) {
//     using enum Order;
//     return std::to_array<Spelling<Order>>({{uniform, "uniform"}, {curriculum, "curriculum"}});
//   }
//
// Pure and thread-safe.

#include <array>
#include <optional>
#include <string_view>
#include <vector>

namespace longshot {

template <typename E>
struct Spelling {
  E value;
  const char* name;
};

// An enumeration with a table of spellings.
template <typename E>
concept Spelled = requires(E value) {
  spellings(value).front().name;
};

// "?" for a value that is not in the table.
template <Spelled E>
constexpr const char* name_of(E value) {
  for (const auto& spelling : spellings(value)) {
    if (spelling.value == value) return spelling.name;
  }
  return "?";
}

// Empty if no value has that name.
template <Spelled E>
constexpr std::optional<E> value_of(std::string_view name) {
  for (const auto& spelling : spellings(E{})) {
    if (spelling.name == name) return spelling.value;
  }
  return std::nullopt;
}

// All values, in the order of the table.
template <Spelled E>
std::vector<E> all_of() {
  std::vector<E> values;
  for (const auto& spelling : spellings(E{})) values.push_back(spelling.value);
  return values;
}

}  // namespace longshot
