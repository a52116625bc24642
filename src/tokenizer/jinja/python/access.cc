#include "tokenizer/jinja/python/access.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tokenizer/jinja/python/characters.h"
#include "tokenizer/jinja/python/numbers.h"

namespace longshot::tokenizer::jinja {
namespace {

struct BoundMethod : Callable {
  Value self;
  MethodBody body = nullptr;
  Value call(Arguments& arguments, Budget& budget) override {
    return body(self, arguments, budget);
  }
};

constexpr std::array<std::string_view, 5> kDictChanges = {"clear", "pop", "popitem", "setdefault",
                                                          "update"};
constexpr std::array<std::string_view, 8> kListChanges = {"append", "clear", "pop",    "reverse",
                                                          "insert", "sort",  "extend", "remove"};

template <size_t N>
bool among(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_unsafe(Type type, std::string_view name) {
  return name.starts_with("__") || (type == Type::dict && among(kDictChanges, name)) ||
         (type == Type::list && among(kListChanges, name)) ||
         (type == Type::space && name.starts_with("_"));
}

// Attributes that are not methods.
bool plain_attribute(const Value& value, std::string_view name, Value* out) {
  switch (value.type()) {
    case Type::space: {
      const Value* found = value.as<Space>().find(name);
      if (found != nullptr) *out = *found;
      return found != nullptr;
    }
    case Type::range: {
      const auto& range = value.as<Range>();
      if (name != "start" && name != "stop" && name != "step") return false;
      *out = Value::integer(name == "start"  ? range.start
                            : name == "stop" ? range.stop
                                             : range.step);
      return true;
    }
    case Type::boolean:
    case Type::integer:
      if (name == "real" || name == "numerator") *out = Value::integer(value.as_int());
      if (name == "imag") *out = Value::integer(0);
      if (name == "denominator") *out = Value::integer(1);
      return !out->is(Type::undefined);
    case Type::real:
      if (name == "real") *out = value;
      if (name == "imag") *out = Value::real(0);
      return !out->is(Type::undefined);
    default:
      return value.shared() != nullptr && value.shared()->attribute(name, out);
  }
}

// getattr(value, name). False if there is no such attribute.
bool attribute_of(const Value& value, const std::string& name, Value* out) {
  if (is_unsafe(value.type(), name)) {
    *out = Value::undefined(
        fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, type_name(value)));
    return true;
  }
  if (const MethodBody body = find_method(value.type(), name); body != nullptr) {
    const auto bound = make_object<BoundMethod>();
    bound->depth = depth_over({value});
    bound->self = value;
    bound->body = body;
    *out = Value::object(Type::callable, bound);
    return true;
  }
  return plain_attribute(value, name, out);
}

Value missing_element(const Value& value, const Value& key, Budget& budget) {
  return Value::undefined(type_name(value) + " object has no element " + repr(key, budget));
}

// value[key] by Python's rules. False for a TypeError or LookupError.
bool item_of(const Value& value, const Value& key, Value* out) {
  if (value.is(Type::dict)) {
    const Value* found = hashable(key) ? value.dict().find(key) : nullptr;
    if (found != nullptr) *out = *found;
    return found != nullptr;
  }
  if (!key.is(Type::integer) && !key.is(Type::boolean)) return false;
  const bool indexed = value.is(Type::list) || value.is(Type::tuple) || value.is(Type::string) ||
                       value.is(Type::range);
  if (!indexed) return false;
  const Int length = length_of(value);
  const Int index = key.as_int() < 0 ? key.as_int() + length : key.as_int();
  if (index < 0 || index >= length) return false;
  if (value.is(Type::string)) {
    const auto rest = std::string_view(value.text())
                          .substr(byte_offset(value.text(), static_cast<size_t>(index)));
    *out = Value::string(std::string(rest.substr(0, byte_offset(rest, 1))), value.markup());
  } else if (value.is(Type::range)) {
    const auto& range = value.as<Range>();
    *out = Value::integer(range.start + index * range.step);
  } else {
    *out = value.items()[static_cast<size_t>(index)];
  }
  return true;
}

Int bound(const Value& value, Int fallback, Int length, bool backwards) {
  if (value.is(Type::none)) return fallback;
  if (!value.is(Type::integer) && !value.is(Type::boolean))
    fail("slice indices must be integers or None");
  Int index = value.as_int();
  if (index < 0) index += length;
  if (backwards) return std::clamp<Int>(index, -1, length - 1);
  return std::clamp<Int>(index, 0, length);
}

}  // namespace

void ValueList::push_back(Value value) {
  if (size_ < few_.size()) {
    few_[size_++] = std::move(value);
    return;
  }
  if (size_ == few_.size())
    many_.assign(std::make_move_iterator(few_.begin()), std::make_move_iterator(few_.end()));
  many_.push_back(std::move(value));
  ++size_;
}

void ValueList::erase_front(size_t count) {
  ValueList rest;
  for (size_t i = count; i < size_; ++i) rest.push_back(std::move((*this)[i]));
  *this = std::move(rest);
}

Values ValueList::take() {
  return {std::make_move_iterator(begin()), std::make_move_iterator(end())};
}

void ValueList::resize(size_t count) {
  if (count > few_.size()) many_.resize(count);
  size_ = count;
}

Member::Member(const Value& name) : name(name) {
  for (size_t type = 0; type < kTypes; ++type) {
    methods[type] = find_method(static_cast<Type>(type), name.text());
    hidden[type] = is_unsafe(static_cast<Type>(type), name.text());
  }
}

Value get_attribute(const Value& value, const Member& member, Budget& budget) {
  if (value.is(Type::undefined) || !member.is_plain(value))
    return get_attribute(value, member.name, budget);
  if (const Value* kept = kept_attribute(value, member); kept != nullptr) return *kept;
  Value out;
  if (!value.is(Type::dict) && plain_attribute(value, member.name.text(), &out)) return out;
  return Value::undefined_member(value, member.name);
}

Value get_attribute(const Value& value, const Value& name, Budget& budget) {
  Value out;
  if (value.is(Type::undefined)) fail(value.undefined_message());
  if (value.is(Type::dict) && find_method(Type::dict, name.text()) == nullptr) {
    const Value* found = value.dict().find(std::string_view(name.text()));
    if (found != nullptr && !is_unsafe(value.type(), name.text())) return *found;
  }
  if (attribute_of(value, name.text(), &out)) return out;
  return Value::undefined_member(value, name);
}

Value get_item(const Value& value, const Value& key, Budget& budget) {
  Value out;
  if (value.is(Type::undefined)) fail(value.undefined_message());
  budget.charge(value.is(Type::dict) ? static_cast<int64_t>(value.dict().items.size() / 8) : 0);
  if (item_of(value, key, &out)) return out;
  if (!key.is(Type::string)) return missing_element(value, key, budget);
  if (attribute_of(value, key.text(), &out)) return out;
  return Value::undefined_member(value, key);
}

const Value* kept_attribute(const Value& value, const Member& member) {
  if (!value.is(Type::dict) || !member.is_plain(value)) return nullptr;
  return value.dict().find(std::string_view(member.name.text()));
}

const Value* kept_item(const Value& value, const Value& key, Budget& budget) {
  if (value.is(Type::dict) && key.is(Type::string)) {
    budget.charge(static_cast<int64_t>(value.dict().items.size() / 8));
    return value.dict().find(std::string_view(key.text()));
  }
  if (!key.is(Type::integer) || (!value.is(Type::list) && !value.is(Type::tuple))) return nullptr;
  const Values& items = value.items();
  const Int size = static_cast<Int>(items.size());
  const Int index = key.as_int() < 0 ? key.as_int() + size : key.as_int();
  return index >= 0 && index < size ? &items[static_cast<size_t>(index)] : nullptr;
}

Value get_slice(const Value& value, const Value& start, const Value& stop, const Value& step,
                Budget& budget) {
  if (value.is(Type::undefined)) fail(value.undefined_message());
  const bool text = value.is(Type::string);
  if (!text && !value.is(Type::list) && !value.is(Type::tuple) && !value.is(Type::range))
    fail("'" + type_name(value) + "' object is not subscriptable by a slice");
  const Int length = length_of(value);
  if (!step.is(Type::none) && !step.is(Type::integer) && !step.is(Type::boolean))
    fail("slice indices must be integers or None");
  const Int stride = step.is(Type::none) ? 1 : step.as_int();
  if (stride == 0) fail("slice step cannot be zero");
  const bool backwards = stride < 0;
  const Int first = bound(start, backwards ? length - 1 : 0, length, backwards);
  const Int last = bound(stop, backwards ? -1 : length, length, backwards);
  if (text && stride == 1) {
    const std::string_view all = value.text();
    const size_t from = byte_offset(all, static_cast<size_t>(first));
    const size_t count = static_cast<size_t>(std::max<Int>(last - first, 0));
    const auto rest = all.substr(from);
    budget.charge_bytes(rest.size());
    return Value::string(std::string(rest.substr(0, byte_offset(rest, count))), value.markup());
  }
  const Items items = items_of(value, budget);
  Values chosen;
  const Int span = backwards ? first - last : last - first;
  if (span > 0)
    chosen.reserve(static_cast<size_t>((span - 1) / (backwards ? -stride : stride) + 1));
  for (Int i = first; backwards ? i > last : i < last; i += stride)
    chosen.push_back((*items)[static_cast<size_t>(i)]);
  budget.charge(static_cast<int64_t>(chosen.size() / 4));
  if (value.is(Type::tuple)) return Value::tuple(std::move(chosen));
  if (!text) return Value::list(std::move(chosen));
  std::string joined;
  for (const Value& c : chosen) joined += c.text();
  return Value::string(std::move(joined), value.markup());
}

bool contains(const Value& container, const Value& item, Budget& budget) {
  if (container.is(Type::string)) {
    if (!item.is(Type::string))
      fail("'in <string>' requires string as left operand, not " + type_name(item));
    budget.charge_bytes(container.text().size());
    return find_text(container.text(), item.text()) != std::string_view::npos;
  }
  if (container.is(Type::dict)) {
    if (!hashable(item)) fail("unhashable type: '" + type_name(item) + "'");
    budget.charge(static_cast<int64_t>(container.dict().items.size() / 8));
    return container.dict().find(item) != nullptr;
  }
  if (!iterable(container)) fail("argument of type '" + type_name(container) + "' is not iterable");
  const Items items = items_of(container, budget);
  for (const Value& each : *items)
    if (each.same(item) || equal(each, item, budget)) return true;
  return false;
}

Value call_value(const Value& callee, Arguments& arguments, Budget& budget) {
  if (callee.is(Type::undefined)) fail(callee.undefined_message());
  if (callee.is(Type::callable)) return callee.as<Callable>().call(arguments, budget);
  if (callee.is(Type::loop)) {
    Value call;
    if (callee.shared()->attribute("__call__", &call)) return call_value(call, arguments, budget);
  }
  fail("'" + type_name(callee) + "' object is not callable");
}

ValueList bind(const char* function, Arguments& arguments, std::initializer_list<const char*> names,
               size_t required) {
  ValueList out(names.size());
  if (arguments.positional.size() > names.size())
    fail(fmt::format("{} takes at most {} arguments ({} given)", function, names.size(),
                     arguments.positional.size()));
  std::array<bool, 8> given = {};
  for (size_t i = 0; i < arguments.positional.size(); ++i) {
    out[i] = std::move(arguments.positional[i]);
    given[i] = true;
  }
  for (auto& [name, value] : arguments.named) {
    const auto found =
        std::find_if(names.begin(), names.end(), [&](const char* n) { return name == n; });
    if (found == names.end())
      fail(fmt::format("{} got an unexpected keyword argument '{}'", function, name));
    const auto i = static_cast<size_t>(found - names.begin());
    if (given[i]) fail(fmt::format("{} got multiple values for argument '{}'", function, name));
    out[i] = std::move(value);
    given[i] = true;
  }
  for (size_t i = 0; i < required; ++i)
    if (!given[i]) fail(fmt::format("{} misses its argument '{}'", function, *(names.begin() + i)));
  return out;
}

Int integer_or(const Value& value, Int fallback, const char* what) {
  if (value.is(Type::undefined)) return fallback;
  if (!value.is(Type::integer) && !value.is(Type::boolean))
    fail(fmt::format("{} must be an integer, not {}", what, type_name(value)));
  return value.as_int();
}

bool bool_or(const Value& value, bool fallback) {
  return value.is(Type::undefined) ? fallback : truthy(value);
}

}  // namespace longshot::tokenizer::jinja
