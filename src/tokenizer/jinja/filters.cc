// Filters that select and change items by other filters and tests; the lookup of filters.
#include "tokenizer/jinja/filters.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tokenizer/jinja/filter_tables.h"
#include "tokenizer/jinja/python/text_methods.h"
#include "tokenizer/jinja/tests.h"

namespace longshot::tokenizer::jinja {
namespace {

Value map_filter(const Value& input, Arguments& arguments, Budget& budget) {
  if (!truthy(input)) return Value::iterator({});  // also for None and 0
  const auto items = items_of(input, budget);
  Values out;
  const auto named = std::find_if(arguments.named.begin(), arguments.named.end(),
                                  [](const auto& a) { return a.first == "attribute"; });
  if (arguments.positional.empty() && named != arguments.named.end()) {
    ValueList given = bind("map", arguments, {"attribute", "default"}, 0);
    if (given[1].is(Type::none)) given[1] = Value();
    const AttributePath path(given[0]);
    for (const Value& item : *items) out.push_back(path.of(item, given[1], budget));
    return Value::iterator(std::move(out));
  }
  if (arguments.positional.empty()) fail("map requires a filter argument");
  const std::string name = text_of(arguments.positional[0], "map's filter");
  const FilterBody filter = find_filter(name);
  if (filter == nullptr) fail(fmt::format("No filter named '{}'.", name));
  arguments.positional.erase_front(1);
  const Budget::Depth depth(budget);
  for (const Value& item : *items) {
    budget.charge(1);
    Arguments copy = arguments;
    out.push_back(filter(item, copy, budget));
  }
  return Value::iterator(std::move(out));
}

template <bool wanted, bool by_attribute>
Value select_filter(const Value& input, Arguments& arguments, Budget& budget) {
  if (!truthy(input)) return Value::iterator({});
  const auto items = items_of(input, budget);
  const size_t first = by_attribute ? 1 : 0;
  auto& positional = arguments.positional;
  if (positional.size() < first) fail("Missing parameter for attribute name");
  const AttributePath path(by_attribute ? positional[0] : Value::none());
  const Test* test = nullptr;
  if (positional.size() > first) {
    const std::string name = text_of(positional[first], "the test's name");
    test = find_test(name);
    if (test == nullptr) fail(fmt::format("No test named '{}'.", name));
    positional.erase_front(first + 1);
  }
  Values out;
  for (const Value& item : *items) {
    budget.charge(1);
    const Value value = path.of(item, Value(), budget);
    Arguments copy = arguments;
    if ((test == nullptr ? truthy(value) : test->body(value, copy, budget)) == wanted)
      out.push_back(item);
  }
  return Value::iterator(std::move(out));
}

Value unique(const Value& input, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("unique", arguments, {"case_sensitive", "attribute"}, 0);
  const bool cased = bool_or(given[0], false);
  const AttributePath path(given[1]);
  Values out, seen;
  const auto item_items = items_of(input, budget);
  for (const Value& item : *item_items) {
    const Value part = path.of(item, Value(), budget);
    const Value key = cased ? part : without_case(part, budget);
    if (!hashable(key)) fail("unhashable type: '" + type_name(key) + "'");
    const bool known = std::any_of(seen.begin(), seen.end(),
                                   [&](const Value& other) { return equal(other, key, budget); });
    if (known) continue;
    seen.push_back(key);
    out.push_back(item);
  }
  return Value::iterator(std::move(out));
}

Value group_by(const Value& input, Arguments& arguments, Budget& budget) {
  ValueList given = bind("groupby", arguments, {"attribute", "default", "case_sensitive"}, 1);
  if (given[1].is(Type::none)) given[1] = Value();
  const bool cased = bool_or(given[2], false);
  const AttributePath path(given[0]);
  const auto key_of = [&](const Value& item) {
    const Value key = path.of(item, given[1], budget);
    return cased ? key : without_case(key, budget);
  };
  const auto items = items_of(input, budget);
  Values keys;
  for (const Value& item : *items) keys.push_back(key_of(item));
  Values groups, group;
  const auto finish = [&] {
    if (group.empty()) return;
    const Value key = path.of(group[0], given[1], budget);
    groups.push_back(Value::tuple({key, Value::list(std::exchange(group, {}))}));
  };
  for (const Value& item : sorted_by(*items, keys, false, budget)) {
    if (!group.empty() && !equal(key_of(group[0]), key_of(item), budget)) finish();
    group.push_back(item);
  }
  finish();
  return Value::list(std::move(groups));
}

constexpr std::array<std::pair<std::string_view, const char*>, 3> kUnsupported = {
    {{"random", "a prompt must not depend on chance"},
     {"urlize", "it makes HTML"},
     {"wordwrap", "it is not needed in chat templates so far"}}};

}  // namespace

const FilterTable& selection_filters() {
  static const FilterTable table = {
      {"groupby", group_by},
      {"map", map_filter},
      {"reject", select_filter<false, false>},
      {"rejectattr", select_filter<false, true>},
      {"select", select_filter<true, false>},
      {"selectattr", select_filter<true, true>},
      {"unique", unique},
  };
  return table;
}

FilterBody find_filter(std::string_view name) {
  for (const FilterTable* table : {&text_filters(), &sequence_filters(), &selection_filters()})
    if (const auto found = table->find(name); found != table->end()) return found->second;
  return nullptr;
}

const char* why_unsupported(std::string_view filter) {
  for (const auto& [name, why] : kUnsupported)
    if (name == filter) return why;
  return nullptr;
}

}  // namespace longshot::tokenizer::jinja
