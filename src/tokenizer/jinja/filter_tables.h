#pragma once
// Where filters.cc finds the filters.

#include <string_view>
#include <unordered_map>

#include "tokenizer/jinja/filters.h"

namespace longshot::tokenizer::jinja {

using FilterTable = std::unordered_map<std::string_view, FilterBody>;
const FilterTable& text_filters();
const FilterTable& sequence_filters();
const FilterTable& selection_filters();

// An item's attribute by a path such as "function.name" or "0.x", or by an index; with no path
// the item itself. A default that is not undefined replaces what is missing.
struct AttributePath {
  explicit AttributePath(const Value& path);
  Value of(const Value& item, const Value& fallback, Budget& budget) const;
  Values parts;
};

// Texts in lower case, for comparisons that ignore it.
Value without_case(const Value& value, Budget& budget);

// Sorts by keys, keeping the order of equal ones.
Values sorted_by(const Values& items, const Values& keys, bool reverse, Budget& budget);

}  // namespace longshot::tokenizer::jinja
