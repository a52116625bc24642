#pragma once
// A parsed template. Immutable after parsing, so that threads may share it.

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/python/numbers.h"
#include "tokenizer/jinja/python/value.h"

namespace longshot::tokenizer::jinja {

enum class NodeKind {
  // Expressions. Their operands are `kids`.
  constant,     // value
  name,         // id
  tuple,
  list,
  dict,         // key, value, key, value, ...
  attribute,    // kids[0].value
  item,         // kids[0][kids[1]]
  slice,        // kids[0][kids[1]:kids[2]:kids[3]], null where left out
  call,         // kids[0](arguments)
  filter,       // kids[0] | filter(arguments); kids[0] is null in filter and set blocks
  test,         // kids[0] is test(arguments)
  negation,     // not
  minus,
  plus,
  logical_and,
  logical_or,
  compare,      // kids[0] ops[0] kids[1] ops[1] kids[2] ...
  binary,       // kids[0] op kids[1]
  concat,       // ~
  conditional,  // kids[0] if kids[1] else kids[2], which may be null
  space_member, // a target: the variable `id`, its attribute `value`
  // Statements.
  text,         // value
  output,       // kids
  for_loop,     // for kids[0] in kids[1] if kids[2]: body, other
  branch,       // if kids[0]: body; elif: further kids are branches; else: other
  set,          // kids[0] = kids[1]
  set_block,    // kids[0] = body, through the filter kids[1] if not null
  macro,        // signature, body
  call_block,   // signature, kids[0] is the call, body
  filter_block, // kids[0] is the filter
  with_block,   // kids: target, value, target, value, ...
  block,        // body
  generation,   // body
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

// The parameters of a macro or call block.
struct Signature {
  std::string name;
  std::vector<int> parameters;  // name ids
  Nodes defaults;               // of the last parameters
  bool uses_caller = false, uses_kwargs = false, uses_varargs = false;
};

struct Node {
  NodeKind kind = NodeKind::constant;
  int line = 0;
  int depth = 1;  // of the tree below, for expressions
  int id = -1;
  Value value;
  BinaryOp op = BinaryOp::add;
  std::vector<CompareOp> ops;
  FilterBody filter = nullptr;
  TestBody test = nullptr;
  std::string callee;  // name of a filter or test
  bool recursive = false;
  bool scoped = false;
  Nodes kids, body, other;
  std::unique_ptr<CallArguments> arguments;
  std::unique_ptr<Signature> signature;
};

// Names have numbers, which index this table; addresses of its texts stay.
struct Program {
  Nodes body;
  std::deque<std::string> names;
  int loop = 0, caller = 0, kwargs = 0, varargs = 0;  // numbers of the names with a meaning
  bool has_generation = false;
};

}  // namespace longshot::tokenizer::jinja
