#pragma once
// Values as Python has them, for chat templates: str() and repr(), truth, equality, order.
// Values are immutable but for namespaces and iterators, so containers are shared, not copied.
// Not thread-safe, except that constants of a parsed template may be read by many threads.
// Failures inside an expression are exceptions of type Error; jinja/template.h turns them into a
// Status, and nothing outside this folder sees them.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace longshot::tokenizer::jinja {

// Python's integers have any size; ours end at 128 bits, and a result beyond is an error.
__extension__ typedef __int128 Int;

struct Error {
  std::string message;
};
[[noreturn]] void fail(std::string message);

// What a rendering may use; beyond it fails. One rendering on one thread.
class Budget {
 public:
  explicit Budget(int64_t steps) : steps_(steps) {}
  void charge(int64_t steps) {
    if ((steps_ -= steps) < 0) fail("the template takes too many steps");
  }
  void charge_bytes(size_t bytes);  // of a text or list that is being made

  // Counts nested calls while it lives, so that no recursion reaches the end of the stack.
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
  view,       // dict.keys(), .values(), .items()
  range,
  iterator,   // what filters such as map and select give: its items are taken once
  space,      // namespace(...)
  callable,   // functions, macros, bound methods
  loop,       // the special variable of a for statement
};

class Value;
using Values = std::vector<Value>;

struct Object {
  virtual ~Object() = default;
  // Attributes of objects that are no plain data: loops, cyclers, macros.
  virtual bool attribute(std::string_view name, Value* out) { return false; }
  int depth = 0;  // nesting of containers
};
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
  // `why` is the message of the error that a use of the undefined value raises.
  static Value undefined(std::string why);
  static Value undefined_name(const std::string* name);  // outlives the value
  static Value undefined_member(const Value& owner, const Value& key);
  static Value none() { return Value(Type::none); }
  static Value boolean(bool value);
  static Value integer(Int value);
  static Value real(double value);
  static Value string(std::string text, bool markup = false);
  static Value list(Values items);
  static Value tuple(Values items);
  static Value dict(std::vector<std::pair<Value, Value>> items);  // distinct keys
  static Value iterator(Values items);
  static Value object(Type type, std::shared_ptr<Object> object);

  Type type() const { return type_; }
  bool is(Type type) const { return type_ == type; }
  bool is_number() const {
    return type_ == Type::integer || type_ == Type::real || type_ == Type::boolean;
  }
  // The caller has checked the type.
  bool as_bool() const { return integer_ != 0; }
  Int as_int() const { return integer_; }  // booleans too
  double as_double() const;                // any number
  const std::string& text() const;
  bool markup() const;  // a text that escape or safe made
  const Values& items() const;  // list, tuple
  const Dict& dict() const;
  template <typename T>
  T& as() const {
    return static_cast<T&>(*object_);
  }
  const std::shared_ptr<Object>& shared() const { return object_; }
  std::string undefined_message() const;
  bool same(const Value& other) const;  // Python's `is`
  int depth() const { return object_ == nullptr ? 0 : object_->depth; }

 private:
  explicit Value(Type type) : type_(type) {}

  Type type_ = Type::undefined;
  Type owner_ = Type::undefined;  // of an undefined member
  const std::string* name_ = nullptr;
  union {
    Int integer_ = 0;
    double real_;
  };
  std::shared_ptr<Object> object_;
};

struct Text : Object {
  std::string text;
  bool markup = false;
};
struct Sequence : Object {
  Values items;
};
struct Dict : Object {
  std::vector<std::pair<Value, Value>> items;  // in order of insertion
  const Value* find(const Value& key) const;  // the key must be hashable
  const Value* find(std::string_view key) const;
};
struct View : Object {
  enum class Kind { keys, values, items } kind = Kind::keys;
  std::shared_ptr<Dict> dict;
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

// A dict whose later values replace earlier ones with an equal key. Fails for keys without a hash.
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
// Fails if `items` nest too deeply; else one more than the deepest.
int depth_over(const Values& items);

// len(); -1 if the type has none.
int64_t length_of(const Value& value);
// Everything that iter() gives; an iterator is used up. Fails for what is not iterable.
std::shared_ptr<const Values> items_of(const Value& value, Budget& budget);
bool iterable(const Value& value);

}  // namespace longshot::tokenizer::jinja
