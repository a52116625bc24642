#include "tokenizer/jinja/python/value.h"

#include <algorithm>
#include <array>
#include <new>

#include "tokenizer/jinja/python/characters.h"

namespace longshot::tokenizer::jinja {
namespace {

constexpr int kMaxValueDepth = 300;
constexpr size_t kBytesPerStep = 32;
constexpr size_t kMaxBytes = size_t{64} << 20;

// Freed objects of one thread by size, for reuse.
class Spares {
 public:
  ~Spares() {
    for (Spare& spare : spares_) {
      while (spare.first != nullptr) ::operator delete(take(spare));
      spare.count = kMaxCount;  // objects freed after this are not kept
    }
  }
  void* allocate(size_t size) {
    Spare* spare = find(size);
    return spare != nullptr && spare->first != nullptr ? take(*spare) : ::operator new(size);
  }
  void release(void* memory, size_t size) {
    Spare* spare = find(size);
    if (spare == nullptr || spare->count >= kMaxCount) return ::operator delete(memory);
    spare->first = new (memory) Link{spare->first};
    ++spare->count;
  }

 private:
  static constexpr int kMaxCount = 256;
  struct Link {
    Link* next;
  };
  struct Spare {
    Link* first = nullptr;
    int count = 0;
  };
  Spare* find(size_t size) {
    // objects are aligned to 8 bytes
    return size / 8 < spares_.size() ? &spares_[size / 8] : nullptr;
  }
  static void* take(Spare& spare) {
    --spare.count;
    return std::exchange(spare.first, spare.first->next);
  }

  std::array<Spare, 41> spares_;  // for objects of up to 320 bytes
};

Value sequence(Type type, Values items) {
  const auto made = make_object<Sequence>();
  made->depth = depth_over(items);
  made->items = std::move(items);
  return Value::object(type, made);
}

}  // namespace

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
void* Object::operator new(size_t size) {
  return ::operator new(size);
}

void Object::operator delete(void* memory, size_t size) {
  ::operator delete(memory);
}
#else
thread_local Spares spares;

void* Object::operator new(size_t size) {
  return spares.allocate(size);
}

void Object::operator delete(void* memory, size_t size) {
  spares.release(memory, size);
}
#endif

void fail(std::string message) {
  throw Error{std::move(message)};
}

int depth_over(const Values& items) {
  int deepest = 0;
  for (const Value& item : items) deepest = std::max(deepest, item.depth());
  if (deepest >= kMaxValueDepth) fail("a value nests too deeply");
  return deepest + 1;
}

void Budget::charge_bytes(size_t bytes) {
  if (bytes > kMaxBytes) fail("the template makes a text or list that is too large");
  charge(static_cast<int64_t>(bytes / kBytesPerStep));
}

Value Value::undefined(std::string why) {
  const auto text = make_object<Text>();
  text->own = std::move(why);
  return object(Type::undefined, text);
}

Value Value::undefined_name(const std::string* name) {
  Value value;
  value.name_ = name;
  return value;
}

Value Value::wide_integer(Int value) {
  const auto wide = make_object<Wide>();
  wide->value = value;
  return object(Type::integer, wide);
}

Value Value::string(std::string text, bool markup) {
  const auto made = make_object<Text>();
  made->own = std::move(text);
  made->markup = markup;
  return object(Type::string, made);
}

Value Value::borrowed(const std::string* text) {
  const auto made = make_object<Text>();
  made->text = text;
  return object(Type::string, made);
}

Value Value::list(Values items) {
  return sequence(Type::list, std::move(items));
}

Value Value::tuple(Values items) {
  return sequence(Type::tuple, std::move(items));
}

Value Value::dict(std::vector<std::pair<Value, Value>> items) {
  const auto made = make_object<Dict>();
  made->depth = 1;
  for (const auto& [key, value] : items)
    made->depth = std::max({made->depth, key.depth() + 1, value.depth() + 1});
  if (made->depth > kMaxValueDepth) fail("a value nests too deeply");
  made->items = std::move(items);
  return object(Type::dict, made);
}

Value Value::iterator(Values items) {
  const auto made = make_object<Iterator>();
  made->depth = depth_over(items);
  made->items = std::move(items);
  return object(Type::iterator, made);
}

Value Value::object(Type type, const Ref<Object>& object) {
  Value made(type);
  made.object_ = object.get();
  made.counted_ = true;
  made.object_->retain();
  return made;
}

Int Value::as_int() const {
  return counted_ ? as<Wide>().value : Int{small_};
}

double Value::as_double() const {
  return type_ == Type::real ? real_ : static_cast<double>(as_int());
}

Value Value::undefined_member(const Value& owner, const Value& key) {
  Value made(key);  // a text
  made.type_ = Type::undefined;
  made.owner_ = owner.type();
  return made;
}

std::string Value::undefined_message() const {
  if (owner_ != Type::undefined) {
    Value owner;
    owner.type_ = owner_;
    const std::string name = owner_ == Type::none     ? "None"
                             : owner_ == Type::string ? "str object"
                                                      : type_name(owner) + " object";
    return "'" + name + "' has no attribute '" + text() + "'";
  }
  if (counted_) return text();
  return name_ != nullptr ? "'" + *name_ + "' is undefined" : "a value is undefined";
}

bool Value::same(const Value& other) const {
  if (type_ != other.type_) return false;
  if (type_ == Type::none) return true;
  if (type_ == Type::boolean || type_ == Type::integer) return as_int() == other.as_int();
  if (type_ == Type::real) return real_ == other.real_;
  if (type_ == Type::string) return object_ == other.object_ || text() == other.text();
  return counted_ && other.counted_ && object_ == other.object_;
}

Frozen::Frozen(Value value) : value_(std::move(value)) {
  freeze(value_);
}

// Frozen objects are not counted, so they may be freed in any order after all references between
// them are removed.
Frozen::~Frozen() {
  const auto forget = [](Value& value) { value.counted_ = false; };
  for (const auto& object : objects_) {
    if (auto* sequence = dynamic_cast<Sequence*>(object.get()))
      for (Value& item : sequence->items) forget(item);
    if (auto* dict = dynamic_cast<Dict*>(object.get()))
      for (auto& [key, item] : dict->items) {
        forget(key);
        forget(item);
      }
  }
  forget(value_);
}

void Frozen::freeze(const Value& value) {
  if (!value.counted_ || value.object_->frozen_) return;
  value.object_->frozen_ = true;
  objects_.emplace_back(value.object_);
  if (value.is(Type::list) || value.is(Type::tuple))
    for (const Value& item : value.items()) freeze(item);
  if (!value.is(Type::dict)) return;
  for (const auto& [key, item] : value.dict().items) {
    freeze(key);
    freeze(item);
  }
}

const Value* Dict::find(const Value& key) const {
  if (key.is(Type::string)) return find(std::string_view(key.text()));
  Budget budget(1 << 20);
  for (const auto& [name, value] : items)
    if (!name.is(Type::string) && equal(name, key, budget)) return &value;
  return nullptr;
}

const Value* Dict::find(std::string_view key) const {
  for (const auto& [name, value] : items)
    if (name.is(Type::string) && name.text() == key) return &value;
  return nullptr;
}

int64_t Range::size() const {
  if (step > 0 && start < stop) return static_cast<int64_t>((stop - start - 1) / step + 1);
  if (step < 0 && start > stop) return static_cast<int64_t>((start - stop - 1) / -step + 1);
  return 0;
}

const Value* Space::find(std::string_view name) const {
  for (const auto& [key, value] : items)
    if (key == name) return &value;
  return nullptr;
}

void Space::set(const std::string& name, Value value) {
  for (auto& [key, present] : items) {
    if (key != name) continue;
    present = std::move(value);
    return;
  }
  items.emplace_back(name, std::move(value));
}

Value make_dict(Values keys, Values values, Budget& budget) {
  std::vector<std::pair<Value, Value>> items;
  items.reserve(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!hashable(keys[i])) fail("unhashable type: '" + type_name(keys[i]) + "'");
    budget.charge(1 + static_cast<int64_t>(items.size() / 8));
    const auto same = std::find_if(items.begin(), items.end(), [&](const auto& item) {
      return equal(item.first, keys[i], budget);
    });
    if (same != items.end()) {
      same->second = std::move(values[i]);
    } else {
      items.emplace_back(std::move(keys[i]), std::move(values[i]));
    }
  }
  return Value::dict(std::move(items));
}

bool truthy(const Value& value) {
  switch (value.type()) {
    case Type::undefined:
    case Type::none:
      return false;
    case Type::boolean:
    case Type::integer:
      return value.as_int() != 0;
    case Type::real:
      return value.as_double() != 0;
    case Type::string:
      return !value.text().empty();
    case Type::iterator:
    case Type::space:
    case Type::callable:
    case Type::loop:
      return true;
    default:
      return length_of(value) != 0;
  }
}

int64_t length_of(const Value& value) {
  switch (value.type()) {
    case Type::undefined:
      return 0;
    case Type::string:
      return static_cast<int64_t>(character_count(value.text()));
    case Type::list:
    case Type::tuple:
      return static_cast<int64_t>(value.items().size());
    case Type::dict:
      return static_cast<int64_t>(value.dict().items.size());
    case Type::view:
      return static_cast<int64_t>(value.as<View>().dict->items.size());
    case Type::range:
      return value.as<Range>().size();
    default:
      return -1;
  }
}

bool iterable(const Value& value) {
  return length_of(value) >= 0 || value.is(Type::iterator);
}

bool hashable(const Value& value) {
  if (value.is(Type::tuple))
    return std::all_of(value.items().begin(), value.items().end(), hashable);
  return !value.is(Type::list) && !value.is(Type::dict) && !value.is(Type::view);
}

std::string type_name(const Value& value) {
  switch (value.type()) {
    case Type::undefined:
      return "Undefined";
    case Type::none:
      return "NoneType";
    case Type::boolean:
      return "bool";
    case Type::integer:
      return "int";
    case Type::real:
      return "float";
    case Type::string:
      return value.markup() ? "Markup" : "str";
    case Type::list:
      return "list";
    case Type::tuple:
      return "tuple";
    case Type::dict:
      return "dict";
    case Type::view:
      return "dict view";
    case Type::range:
      return "range";
    case Type::iterator:
      return "generator";
    case Type::space:
      return "Namespace";
    case Type::callable:
      return "function";
    case Type::loop:
      return "LoopContext";
  }
  return "object";
}

}  // namespace longshot::tokenizer::jinja
