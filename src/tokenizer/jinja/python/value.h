#pragma once
// Python's values for chat templates: str() and repr(), truth, equality, order. Values are
// immutable except namespaces and iterators, so containers are shared, not copied. Not thread-safe,
// except for frozen values: constants of a template, arguments of all renderings. Failures inside
// an expression are exceptions of type Error. jinja/template.h and chat/chat_template.h turn them
// into a Status.

#include <cstdint>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace longshot::tokenizer::jinja {

// Python's integers have any size. Ours are limited to 128 bits; a larger result is an error.
__extension__ typedef __int128 Int;

struct Error {
  std::string message;
};
[[noreturn]] void fail(std::string message);

class Budget;
enum class Type : uint8_t {
  undefined,
  none,
  boolean,
  integer,
  real,
  string,
  list,
  tuple,
  dict,
  view,  // dict.keys(), .values(), .items()
  range,
  iterator,  // the result of filters such as map and select: its items can be read once
  space,     // namespace(...)
  callable,  // functions, macros, bound methods
  loop,      // the special variable of a for statement
};
constexpr size_t kTypes = 15;

class Value;
using Values = std::vector<Value>;

// An object that a value refers to. References are counted without atomics, because a rendering
// runs on one thread. Objects that are frozen() are never counted, so threads may share them.
struct Object {
  virtual ~Object() = default;
  // Reads an attribute of an object that is not plain data: loops, cyclers, macros.
  virtual bool attribute(std::string_view name, Value* out) { return false; }
  int depth = 0;  // nesting of containers

  // A rendering creates and drops many small objects, so each thread keeps some of the freed ones.
  static void* operator new(size_t size);
  static void operator delete(void* memory, size_t size);

 private:
  template <typename T>
  friend class Ref;
  friend class Value;
  friend class Frozen;
  void retain() { uses_ += frozen_ ? 0 : 1; }
  void release() {
    if (!frozen_ && --uses_ == 0) delete this;
  }
  uint32_t uses_ = 0;
  bool frozen_ = false;
};

// A counted reference to an object, or to none.
template <typename T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* object) : object_(object) {
    if (object_ != nullptr) object_->retain();
  }
  Ref(const Ref& other) : Ref(other.object_) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  template <typename Derived>
  Ref(const Ref<Derived>& other) : Ref(other.get()) {}  // NOLINT(google-explicit-constructor)
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ != nullptr) object_->release();
  }
  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  bool operator==(std::nullptr_t) const { return object_ == nullptr; }
  bool unshared() const { return object_ != nullptr && object_->uses_ == 1; }

 private:
  T* object_ = nullptr;
};

template <typename T>
Ref<T> make_object() {
  return Ref<T>(new T());
}

struct Text;
struct Sequence;
struct Dict;
struct View;
struct Range;
struct Iterator;
struct Space;

class Value {
 public:
  Value() = default;  // undefined
  // `why` is the error message if the undefined value is used.
  static Value undefined(std::string why);
  static Value undefined_name(const std::string* name);  // `name` must outlive the value
  static Value undefined_member(const Value& owner, const Value& key);
  static Value none() { return Value(Type::none); }
  static Value boolean(bool value) {
    Value made(Type::boolean);
    made.small_ = value ? 1 : 0;
    return made;
  }
  static Value integer(Int value) {
    const auto small = static_cast<int64_t>(value);
    if (small != value) return wide_integer(value);
    Value made(Type::integer);
    made.small_ = small;
    return made;
  }
  static Value real(double value) {
    Value made(Type::real);
    made.real_ = value;
    return made;
  }
  static Value string(std::string text, bool markup = false);
  static Value borrowed(const std::string* text);  // `text` must outlive the value
  static Value list(Values items);
  static Value tuple(Values items);
  static Value dict(std::vector<std::pair<Value, Value>> items);  // distinct keys
  static Value iterator(Values items);
  static Value object(Type type, const Ref<Object>& object);

  Value(const Value& other) { copy(other); }
  Value(Value&& other) noexcept { take(other); }
  Value& operator=(const Value& other) {
    if (this == &other) return *this;
    Value copy(other);
    return *this = std::move(copy);
  }
  Value& operator=(Value&& other) noexcept {
    if (this == &other) return *this;
    drop();
    take(other);
    return *this;
  }
  ~Value() { drop(); }

  Type type() const { return type_; }
  bool is(Type type) const { return type_ == type; }
  bool is_plain_text() const;  // a text that is not markup
  // True for a default-constructed value: the value of a variable that was never set.
  bool is_unset() const { return type_ == Type::undefined && !counted_ && name_ == nullptr; }
  bool is_number() const {
    return type_ == Type::integer || type_ == Type::real || type_ == Type::boolean;
  }
  bool is_small_integer() const { return type_ == Type::integer && !counted_; }
  // The caller must have checked the type.
  int64_t small_integer() const { return small_; }
  bool as_bool() const { return small_ != 0; }
  Int as_int() const;        // also for booleans
  double as_double() const;  // for any number
  const std::string& text() const;
  bool markup() const;          // true for a text that escape or safe returned
  const Values& items() const;  // list, tuple
  const Dict& dict() const;
  template <typename T>
  T& as() const {
    return static_cast<T&>(*object_);
  }
  Object* shared() const { return counted_ ? object_ : nullptr; }
  std::string undefined_message() const;
  bool same(const Value& other) const;  // Python's `is`
  int depth() const { return counted_ ? object_->depth : 0; }

 private:
  friend class Frozen;
  explicit Value(Type type) : type_(type) {}
  static Value wide_integer(Int value);
  void copy(const Value& other) {
    std::memcpy(static_cast<void*>(this), &other, sizeof(Value));
    if (counted_) object_->retain();
  }
  void take(Value& other) {
    std::memcpy(static_cast<void*>(this), &other, sizeof(Value));
    other.counted_ = false;
    other.type_ = other.owner_ = Type::undefined;
    other.name_ = nullptr;
  }
  void drop() {
    if (counted_) object_->release();
  }

  Type type_ = Type::undefined;
  Type owner_ = Type::undefined;  // type of the owner of an undefined member
  bool counted_ = false;          // object_ is set
  union {
    const std::string* name_ = nullptr;  // name of an undefined variable
    int64_t small_;                      // an integer that fits, or a boolean
    double real_;
    Object* object_;  // larger integers and all other types
  };
};

// A value that threads may share and that exists as long as this object: numbers, texts, and lists,
// tuples and dicts of these.
class Frozen {
 public:
  Frozen() = default;
  explicit Frozen(Value value);
  Frozen(Frozen&&) = default;
  Frozen& operator=(Frozen&&) = delete;
  ~Frozen();
  const Value& value() const { return value_; }

 private:
  void freeze(const Value& value);

  std::vector<std::unique_ptr<Object>> objects_;
  Value value_;
};

struct Wide : Object {  // an integer beyond 64 bits
  Int value = 0;
};

struct Text : Object {
  std::string own;
  const std::string* text = &own;  // or a text that outlives the value
  bool markup = false;
};
struct Sequence : Object {
  Values items;
};
struct Dict : Object {
  std::vector<std::pair<Value, Value>> items;  // in order of insertion
  const Value* find(const Value& key) const;   // the key must be hashable
  const Value* find(std::string_view key) const;
};
struct View : Object {
  enum class Kind { keys, values, items } kind = Kind::keys;
  Ref<Dict> dict;
};
struct Range : Object {
  Int start = 0, stop = 0, step = 1;
  int64_t size() const;
};
struct Iterator : Object {
  Values items;
  size_t next = 0;
};
struct Space : Object {
  std::vector<std::pair<std::string, Value>> items;
  const Value* find(std::string_view name) const;
  void set(const std::string& name, Value value);
};

// The limits of a rendering; exceeding one fails. For one rendering on one thread.
class Budget {
 public:
  explicit Budget(int64_t steps) : steps_(steps) {}
  void charge(int64_t steps) {
    if ((steps_ -= steps) < 0) fail("the template takes too many steps");
  }
  void charge_bytes(size_t bytes);  // for a text or list that is being created

  std::time_t now = 0;  // the time that strftime_now returns; 0 = the clock
  // Every namespace of the rendering. They may refer to one another in cycles, so the owner of the
  // budget empties them at the end.
  std::vector<Ref<Space>> spaces;

  // Counts nested calls while it exists, so that no recursion reaches the end of the stack.
  class Depth {
   public:
    explicit Depth(Budget& budget) : budget_(budget) {
      if (++budget_.depth_ > kMaxDepth) {
        --budget_.depth_;
        fail("the template nests too deeply");
      }
    }
    ~Depth() { --budget_.depth_; }
    Depth(const Depth&) = delete;
    Depth& operator=(const Depth&) = delete;

   private:
    Budget& budget_;
  };

 private:
  static constexpr int kMaxDepth = 1000;
  int64_t steps_;
  int depth_ = 0;
};

inline const std::string& Value::text() const {
  return *as<Text>().text;
}
inline bool Value::markup() const {
  return type_ == Type::string && as<Text>().markup;
}
inline bool Value::is_plain_text() const {
  return type_ == Type::string && !as<Text>().markup;
}
inline const Values& Value::items() const {
  return as<Sequence>().items;
}
inline const Dict& Value::dict() const {
  return as<Dict>();
}

// Creates a dict in which later values replace earlier ones with an equal key. Fails for unhashable
// keys.
Value make_dict(Values keys, Values values, Budget& budget);

bool truthy(const Value& value);
std::string type_name(const Value& value);  // "str", "dict", ...
// repr() and str().
void append_repr(const Value& value, std::string& out, Budget& budget);
void append_str(const Value& value, std::string& out, Budget& budget);
std::string repr(const Value& value, Budget& budget);
std::string str(const Value& value, Budget& budget);

bool equal(const Value& a, const Value& b, Budget& budget);
// Negative, zero or positive for a < b, a == b, a > b; fails where Python's < does. `op` is for
// the message. NaN compares as unordered (every order is false).
enum class Order { less, equal, greater, unordered };
Order compare(const Value& a, const Value& b, const char* op, Budget& budget);
bool hashable(const Value& value);
// One more than the depth of the deepest item. Fails if the items nest too deeply.
int depth_over(const Values& items);

// len(); -1 if the type has no length.
int64_t length_of(const Value& value);
// All items that iter() gives; an iterator is used up. Fails for values that are not iterable.
class Items;
Items items_of(const Value& value, Budget& budget);
bool iterable(const Value& value);

// Items that are shared with a list or tuple, or created for the caller.
class Items {
 public:
  explicit Items(const Value& sequence)
      : owner_(&sequence.as<Sequence>()), shared_(&sequence.as<Sequence>().items) {}
  explicit Items(Values made) : made_(std::move(made)) {}
  const Values& operator*() const { return shared_ != nullptr ? *shared_ : made_; }
  const Values* operator->() const { return &**this; }

 private:
  Ref<Sequence> owner_;
  const Values* shared_ = nullptr;
  Values made_;
};

}  // namespace longshot::tokenizer::jinja
