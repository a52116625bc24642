// Filters that order, split and join sequences.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "tokenizer/jinja/filter_tables.h"
#include "tokenizer/jinja/python/characters.h"
#include "tokenizer/jinja/python/numbers.h"
#include "tokenizer/jinja/python/text_methods.h"

namespace longshot::tokenizer::jinja {
namespace {

Value default_filter(const Value& input, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("default", arguments, {"default_value", "boolean"}, 0);
  const bool missing = input.is(Type::undefined) || (bool_or(given[1], false) && !truthy(input));
  if (!missing) return input;
  return arguments.none() ? Value::string("") : given[0];
}

Value length_filter(const Value& input, Arguments& arguments, Budget& budget) {
  bind("length", arguments, {}, 0);
  const int64_t length = length_of(input);
  if (length < 0) {
    Value out;
    if (input.is(Type::loop) && input.shared()->attribute("length", &out)) return out;
    fail("object of type '" + type_name(input) + "' has no len()");
  }
  return Value::integer(length);
}

Value list_filter(const Value& input, Arguments& arguments, Budget& budget) {
  bind("list", arguments, {}, 0);
  return Value::list(*items_of(input, budget));
}

Value first_filter(const Value& input, Arguments& arguments, Budget& budget) {
  bind("first", arguments, {}, 0);
  if (input.is(Type::iterator)) {
    auto& iterator = input.as<Iterator>();
    if (iterator.next < iterator.items.size()) return iterator.items[iterator.next++];
  } else if (const auto items = items_of(input, budget); !items->empty()) {
    return items->front();
  }
  return Value::undefined("No first item, sequence was empty.");
}

Value last_filter(const Value& input, Arguments& arguments, Budget& budget) {
  bind("last", arguments, {}, 0);
  if (input.is(Type::iterator)) fail("'generator' object is not reversible");
  const auto items = items_of(input, budget);
  if (items->empty()) return Value::undefined("No last item, sequence was empty.");
  // Unlike in forward iteration, the characters of markup are markup here.
  return input.markup() ? Value::string(items->back().text(), true) : items->back();
}

Value join(const Value& input, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("join", arguments, {"d", "attribute"}, 0);
  const bool by_attribute = !given[1].is(Type::undefined) && !given[1].is(Type::none);
  const AttributePath path(by_attribute ? given[1] : Value::none());
  const std::string separator = str(given[0], budget);
  std::string out;
  bool first = true;
  const auto item_items = items_of(input, budget);
  for (const Value& item : *item_items) {
    if (!std::exchange(first, false)) out += separator;
    append_str(by_attribute ? path.of(item, Value(), budget) : item, out, budget);
    budget.charge_bytes(separator.size() + 64);
  }
  budget.charge_bytes(out.size());
  return Value::string(std::move(out));
}

Value reverse(const Value& input, Arguments& arguments, Budget& budget) {
  bind("reverse", arguments, {}, 0);
  Values items = *items_of(input, budget);
  std::reverse(items.begin(), items.end());
  if (input.is(Type::string)) {
    std::string text;
    for (const Value& item : items) text += item.text();
    return Value::string(std::move(text), input.markup());
  }
  return input.is(Type::iterator) ? Value::list(std::move(items))
                                  : Value::iterator(std::move(items));
}

Value items_filter(const Value& input, Arguments& arguments, Budget& budget) {
  bind("items", arguments, {}, 0);
  if (input.is(Type::undefined)) return Value::iterator({});
  if (!input.is(Type::dict)) fail("Can only get item pairs from a mapping.");
  Values pairs;
  for (const auto& [key, value] : input.dict().items) pairs.push_back(Value::tuple({key, value}));
  return Value::iterator(std::move(pairs));
}

Value dict_sort(const Value& input, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("dictsort", arguments, {"case_sensitive", "by", "reverse"}, 0);
  const std::string by = given[1].is(Type::undefined) ? "key" : text_of(given[1], "by");
  if (by != "key" && by != "value") fail("You can only sort by either \"key\" or \"value\"");
  if (input.is(Type::undefined)) fail(input.undefined_message());
  if (!input.is(Type::dict)) fail("dictsort takes a mapping, not " + type_name(input));
  const bool cased = bool_or(given[0], false);
  Values pairs, keys;
  for (const auto& [key, value] : input.dict().items) {
    pairs.push_back(Value::tuple({key, value}));
    const Value& sorted = by == "key" ? key : value;
    keys.push_back(cased ? sorted : without_case(sorted, budget));
  }
  return Value::list(sorted_by(pairs, keys, bool_or(given[2], false), budget));
}

Value sort_filter(const Value& input, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("sort", arguments, {"reverse", "case_sensitive", "attribute"}, 0);
  const bool cased = bool_or(given[1], false);
  std::vector<AttributePath> paths;
  if (given[2].is(Type::string)) {
    const std::string& all = given[2].text();
    for (size_t at = 0; at <= all.size();) {
      const size_t end = std::min(all.find(',', at), all.size());
      paths.emplace_back(Value::string(all.substr(at, end - at)));
      at = end + 1;
    }
  } else {
    paths.emplace_back(given[2].is(Type::undefined) ? Value::none() : given[2]);
  }
  const auto items = items_of(input, budget);
  Values keys;
  for (const Value& item : *items) {
    Values key;
    for (const AttributePath& path : paths) {
      const Value part = path.of(item, Value(), budget);
      key.push_back(cased ? part : without_case(part, budget));
    }
    keys.push_back(Value::list(std::move(key)));
  }
  return Value::list(sorted_by(*items, keys, bool_or(given[0], false), budget));
}

template <bool largest>
Value extreme(const Value& input, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("min", arguments, {"case_sensitive", "attribute"}, 0);
  const bool cased = bool_or(given[0], false);
  const AttributePath path(given[1].is(Type::undefined) ? Value::none() : given[1]);
  const auto items = items_of(input, budget);
  if (items->empty()) return Value::undefined("No aggregated item, sequence was empty.");
  const auto key_of = [&](const Value& item) {
    const Value key = path.of(item, Value(), budget);
    return cased ? key : without_case(key, budget);
  };
  size_t best = 0;
  Value best_key = key_of((*items)[0]);
  for (size_t i = 1; i < items->size(); ++i) {
    Value key = key_of((*items)[i]);
    const Order order = compare(key, best_key, largest ? ">" : "<", budget);
    if (order != (largest ? Order::greater : Order::less)) continue;
    best = i;
    best_key = std::move(key);
  }
  return (*items)[best];
}

Value sum_filter(const Value& input, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("sum", arguments, {"attribute", "start"}, 0);
  const bool by_attribute = !given[0].is(Type::undefined) && !given[0].is(Type::none);
  const AttributePath path(by_attribute ? given[0] : Value::none());
  Value total = given[1].is(Type::undefined) ? Value::integer(0) : given[1];
  if (total.is(Type::string)) fail("sum() can't sum strings [use ''.join(seq) instead]");
  const auto item_items = items_of(input, budget);
  for (const Value& item : *item_items) {
    budget.charge(1);
    total = arithmetic(BinaryOp::add, total, by_attribute ? path.of(item, Value(), budget) : item,
                       budget);
  }
  return total;
}

Value batch(const Value& input, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("batch", arguments, {"linecount", "fill_with"}, 1);
  const Int size = integer_or(given[0], 0, "linecount");
  const bool fill = !given[1].is(Type::undefined) && !given[1].is(Type::none);
  Values rows, row;
  const auto item_items = items_of(input, budget);
  for (const Value& item : *item_items) {
    if (static_cast<Int>(row.size()) == size) rows.push_back(Value::list(std::exchange(row, {})));
    row.push_back(item);
  }
  if (!row.empty()) {
    budget.charge_bytes(static_cast<size_t>(std::clamp<Int>(size, 0, 1 << 30)));
    while (fill && static_cast<Int>(row.size()) < size) row.push_back(given[1]);
    rows.push_back(Value::list(std::move(row)));
  }
  return Value::iterator(std::move(rows));
}

Value slice_filter(const Value& input, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("slice", arguments, {"slices", "fill_with"}, 1);
  const Int slices = integer_or(given[0], 0, "slices");
  if (slices == 0) fail("division by zero");
  if (slices > 100'000) fail("too many slices");
  const bool fill = !given[1].is(Type::undefined) && !given[1].is(Type::none);
  const auto items = items_of(input, budget);
  const Int length = static_cast<Int>(items->size());
  Values out;
  Int begin = 0;
  for (Int i = 0; i < slices; ++i) {
    const bool longer = i < length % slices;
    const Int end = begin + length / slices + (longer ? 1 : 0);
    Values part(items->begin() + static_cast<long>(begin), items->begin() + static_cast<long>(end));
    if (fill && !longer) part.push_back(given[1]);
    out.push_back(Value::list(std::move(part)));
    begin = end;
  }
  return Value::iterator(std::move(out));
}

Value attr_filter(const Value& input, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("attr", arguments, {"name"}, 1);
  text_of(given[0], "attr's name");
  if (input.is(Type::dict) && find_method(Type::dict, given[0].text()) == nullptr)
    return Value::undefined_member(input, given[0]);
  return get_attribute(input, given[0], budget);
}

}  // namespace

AttributePath::AttributePath(const Value& path) {
  if (path.is(Type::none) || path.is(Type::undefined)) return;
  if (!path.is(Type::string)) {
    parts.push_back(path);
    return;
  }
  const std::string& text = path.text();
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('.', at), text.size());
    const std::string part = text.substr(at, end - at);
    const bool digits = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
    parts.push_back(digits ? Value::integer(parse_integer(part).value_or(0)) : Value::string(part));
    at = end + 1;
  }
}

Value AttributePath::of(const Value& item, const Value& fallback, Budget& budget) const {
  Value value = item;
  for (const Value& part : parts) {
    value = get_item(value, part, budget);
    if (value.is(Type::undefined) && !fallback.is(Type::undefined)) value = fallback;
  }
  return value;
}

Value without_case(const Value& value, Budget& budget) {
  if (!value.is(Type::string)) return value;
  budget.charge_bytes(value.text().size());
  return Value::string(lower(value.text()));
}

// A stable merge sort keeps the order of equal items and needs only a < b, like Python's sort.
Values sorted_by(const Values& items, const Values& keys, bool reverse, Budget& budget) {
  std::vector<size_t> order(items.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (reverse) std::reverse(order.begin(), order.end());
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return compare(keys[a], keys[b], "<", budget) == Order::less;
  });
  if (reverse) std::reverse(order.begin(), order.end());
  Values out;
  for (const size_t i : order) out.push_back(items[i]);
  return out;
}

const FilterTable& sequence_filters() {
  static const FilterTable table = {
      {"attr", attr_filter},
      {"batch", batch},
      {"count", length_filter},
      {"d", default_filter},
      {"default", default_filter},
      {"dictsort", dict_sort},
      {"first", first_filter},
      {"items", items_filter},
      {"join", join},
      {"last", last_filter},
      {"length", length_filter},
      {"list", list_filter},
      {"max", extreme<true>},
      {"min", extreme<false>},
      {"reverse", reverse},
      {"slice", slice_filter},
      {"sort", sort_filter},
      {"sum", sum_filter},
  };
  return table;
}

}  // namespace longshot::tokenizer::jinja
