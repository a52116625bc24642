#pragma once
// A parsed template. Immutable after parsing, so threads may share it.

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/python/access.h"
#include "tokenizer/jinja/python/numbers.h"
#include "tokenizer/jinja/python/value.h"
#include "tokenizer/jinja/tests.h"

namespace longshot::tokenizer::jinja {

enum class NodeKind {
  // Expressions. Their operands are `kids`.
  constant,  // value
  name,      // id, place
  tuple,
  list,
  dict,       // key, value, key, value, ...
  attribute,  // kids[0].member
  item,       // kids[0][kids[1]]
  slice,      // kids[0][kids[1]:kids[2]:kids[3]], null if omitted
  call,       // kids[0](arguments)
  filter,     // kids[0] | filter(arguments); kids[0] is null in filter and set blocks
  test,       // kids[0] is test(arguments)
  negation,   // not
  minus,
  plus,
  logical_and,
  logical_or,
  compare,       // kids[0] ops[0] kids[1] ops[1] kids[2] ...
  sum,           // kids[0] + kids[1] + ...
  binary,        // kids[0] op kids[1]
  concat,        // ~
  conditional,   // kids[0] if kids[1] else kids[2], which may be null
  space_member,  // a target: the variable at `place`, its attribute `value`
  // Statements.
  text,          // value
  output,        // kids
  for_loop,      // for kids[0] in kids[1] if kids[2]: body, other
  branch,        // if kids[0]: body; elif: further kids are branches; else: other
  set,           // kids[0] = kids[1]
  set_block,     // kids[0] = body, through the filter kids[1] if not null
  macro,         // signature, body
  call_block,    // signature, kids[0] is the call, body
  filter_block,  // kids[0] is the filter
  with_block,    // kids: target, value, target, value, ...
  block,         // body
  generation,    // body
  break_loop,
  continue_loop,
};

enum class CompareOp { equal, not_equal, less, less_equal, greater, greater_equal, in, not_in };

struct Node;
using NodePtr = std::unique_ptr<Node>;
using Nodes = std::vector<NodePtr>;

struct CallArguments {
  Nodes positional;
  std::vector<std::pair<std::string, NodePtr>> named;
  NodePtr star, double_star;
};

// The place of a variable: slot `slot` of the activation that is `hops` functions outwards. The
// bodies of macros, call blocks, blocks, recursive loops and conditions of loops are functions.
struct Place {
  int hops = 0;
  int slot = -1;
};

// The preparation of one variable of a body before the body runs.
struct Setup {
  enum class From {
    outer,   // starts as the variable at `outer` of an enclosing body
    given,   // starts as the value that the caller of the template gives for the name `id`
    nothing  // starts unset
  } from = From::nothing;
  int slot = -1;
  Place outer = {};
  int id = -1;
};

// The variables of a body.
struct Frame {
  std::vector<Setup> setups;
  std::vector<int> slots;  // all slots of the body, unset when it is left
  int function_size = 0;   // if the body is a function: the number of slots of its activation
};

// The parameters of a macro or call block.
struct Signature {
  std::string name;
  std::vector<int> parameters;  // name ids
  std::vector<int> slots;       // of the parameters
  Nodes defaults;               // of the last parameters
  bool uses_caller = false, uses_kwargs = false, uses_varargs = false;
  int caller_slot = -1, kwargs_slot = -1, varargs_slot = -1;
};

// The parts of a for statement in addition to its body.
struct ForParts {
  Frame condition, other;
  NodePtr condition_target;  // the same target again, as a variable of the condition
  int loop_slot = -1;        // slot of the special variable `loop`; -1: the body does not read it
  bool recursive = false;
};

// A variable by name and place.
struct NamedPlace {
  int id = -1;
  Place place;
};

struct Node {
  NodeKind kind = NodeKind::constant;
  int line = 0;
  int depth = 1;  // of the tree below; for expressions only
  int id = -1;
  Place place;
  BinaryOp op = BinaryOp::add;
  bool scoped = false;
  Value value;
  std::unique_ptr<Member> member;
  std::vector<CompareOp> ops;
  FilterBody filter = nullptr;
  const Test* test = nullptr;
  std::string callee;  // the name of a filter or test
  Nodes kids, body, other;
  std::unique_ptr<CallArguments> arguments;
  std::unique_ptr<Signature> signature;
  std::unique_ptr<ForParts> parts;
  std::unique_ptr<Frame> frame;  // of the body, if it has variables of its own
  // For a statement at the top of the template: the variables it sets, which blocks can see. For a
  // scoped block: the variables around it.
  std::vector<NamedPlace> visible;
};

// Names are short and few, so the first and last characters distinguish them well enough.
struct NameHash {
  size_t operator()(std::string_view name) const {
    const auto at = [&](size_t i) { return size_t{static_cast<unsigned char>(name[i])}; };
    return name.empty() ? 0 : name.size() + 64 * at(0) + 4096 * at(name.size() - 1);
  }
};

// Every name has a number, which indexes this table. The addresses of the texts never change.
struct Program {
  std::deque<Frozen> constants;  // objects that the nodes' values refer to
  Nodes body;
  Frame frame;
  std::deque<std::string> names;
  std::unordered_map<std::string_view, int, NameHash> ids;
  // names that are functions unless the caller gives them
  std::vector<std::pair<int, Value>> globals;
  int loop = 0, caller = 0, kwargs = 0, varargs = 0;  // numbers of the names with a special meaning
  bool has_generation = false;
  bool has_blocks = false, has_scoped_blocks = false;
};

}  // namespace longshot::tokenizer::jinja
