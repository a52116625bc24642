#pragma once
// The tables in which filters.cc looks up the filters, and helpers that these share.

#include <string_view>
#include <unordered_map>

#include "tokenizer/jinja/filters.h"

namespace longshot::tokenizer::jinja {

using FilterTable = std::unordered_map<std::string_view, FilterBody>;
const FilterTable& text_filters();
const FilterTable& sequence_filters();
const FilterTable& selection_filters();

// Reads an item's attribute by a path such as "function.name" or "0.x", or by an index; without a
// path, the item itself. A missing attribute is replaced by the default unless that is undefined.
struct AttributePath {
  explicit AttributePath(const Value& path);
  Value of(const Value& item, const Value& fallback, Budget& budget) const;
  Values parts;
};

// Converts texts to lower case, for comparisons that ignore case.
Value without_case(const Value& value, Budget& budget);

// Sorts `items` by `keys`, keeping the order of equal ones.
Values sorted_by(const Values& items, const Values& keys, bool reverse, Budget& budget);

}  // namespace longshot::tokenizer::jinja
