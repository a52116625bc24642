#pragma once
// Unicode data that the libraries in use lack, or have in a version that differs from the reference
// library's.

#include <cstdint>
#include <vector>

namespace longshot::tokenizer {

// Code points [first, last] that belong to the general category (or script) `category`.
struct CategoryRange {
  const char* category;
  uint32_t first;
  uint32_t last;
};

// The ranges to add to PCRE2's \p{category} so that it agrees with Unicode 16.
const std::vector<CategoryRange>& newer_category_ranges();

// Code points that are unknown to the reference library's normalization tables, which are older
// than utf8proc's. The library neither reorders nor composes them.
struct CodePointRange {
  uint32_t first;
  uint32_t last;
};
const std::vector<CodePointRange>& unnormalized_ranges();

}  // namespace longshot::tokenizer
