#pragma once
// The names of one body while its template is being resolved. The rules are in resolve.cc.

#include <map>
#include <set>
#include <utility>

#include "tokenizer/jinja/ast.h"

namespace longshot::tokenizer::jinja {

// A function whose activation stores variables. Bodies at the same level share their slots.
struct Function {
  Function* outer = nullptr;
  std::map<std::pair<int, int>, int> slots = {};  // (level, name) to slot

  int slot_of(int level, int name) {
    return slots.emplace(std::pair(level, name), static_cast<int>(slots.size())).first->second;
  }
  int size() const { return static_cast<int>(slots.size()); }
};

struct Variable {
  Function* function = nullptr;
  int slot = -1;
};

class Symbols {
 public:
  Symbols(Symbols* parent, Function* function)
      : parent_(parent), function_(function), level_(parent == nullptr ? 0 : parent->level_ + 1) {}
  // Collects what a branch of an if adds to this body.
  Symbols branch() {
    Symbols out(*this, this);
    return out;
  }

  const Variable* find(int name) const {
    const Variable* own = find_here(name);
    return own != nullptr || parent_ == nullptr ? own : parent_->find(name);
  }
  void load(int name) {
    if (find(name) == nullptr) define_given(name);
  }
  void store(int name) {
    stores_.insert(name);
    if (find_here(name) != nullptr) return;
    const Variable* outer = find_outside(name);
    define(name, {outer == nullptr ? Setup::From::nothing : Setup::From::outer}, outer);
  }
  int declare_parameter(int name) {
    stores_.insert(name);
    define(name, {}, nullptr);
    setups_.erase(name);
    return variables_[name].slot;
  }
  // Adds the names that the branches of an if have read and set.
  void merge(std::initializer_list<const Symbols*> branches) {
    std::set<int> stored;
    for (const Symbols* branch : branches)
      for (const int name : branch->stores_)
        if (!stores(name)) stored.insert(name);
    for (const Symbols* branch : branches) {
      for (const auto& [name, variable] : branch->variables_) variables_[name] = variable;
      for (const auto& [name, setup] : branch->setups_) setups_[name] = setup;
      stores_.insert(branch->stores_.begin(), branch->stores_.end());
    }
    for (const int name : stored) {
      const Variable* outer = find_outside(name);
      outer != nullptr ? define(name, {Setup::From::outer}, outer) : define_given(name);
    }
  }

  Place place_of(const Variable& variable) const {
    Place place{0, variable.slot};
    for (const Function* at = function_; at != variable.function; at = at->outer) ++place.hops;
    return place;
  }
  // All variables that this body and those around it set.
  std::map<int, const Variable*> all_stored() const {
    std::map<int, const Variable*> out;
    for (const Symbols* at = this; at != nullptr; at = at->parent_)
      for (const int name : at->stores_) out.emplace(name, find(name));
    return out;
  }
  void write(Frame& frame) const {
    for (const auto& [name, setup] : setups_) frame.setups.push_back(setup);
    for (const auto& [name, variable] : variables_) frame.slots.push_back(variable.slot);
  }
  Function* function() const { return function_; }

 private:
  Symbols(const Symbols& around, Symbols* base)
      : parent_(around.parent_), base_(base), function_(around.function_), level_(around.level_) {}

  const Variable* find_here(int name) const {
    if (const auto found = variables_.find(name); found != variables_.end()) return &found->second;
    return base_ == nullptr ? nullptr : base_->find_here(name);
  }
  const Variable* find_outside(int name) const {
    return parent_ == nullptr ? nullptr : parent_->find(name);
  }
  bool stores(int name) const {
    return stores_.contains(name) || (base_ != nullptr && base_->stores(name));
  }
  void define_given(int name) { define(name, {Setup::From::given, -1, {}, name}, nullptr); }
  void define(int name, Setup setup, const Variable* outer) {
    const Variable variable{function_, function_->slot_of(level_, name)};
    setup.slot = variable.slot;
    if (outer != nullptr) setup.outer = place_of(*outer);
    variables_[name] = variable;
    setups_[name] = setup;
  }

  Symbols* parent_;
  Symbols* base_ = nullptr;  // for a branch: the body it belongs to
  Function* function_;
  int level_;
  std::map<int, Variable> variables_;
  std::map<int, Setup> setups_;  // for variables that are not parameters
  std::set<int> stores_;
};

}  // namespace longshot::tokenizer::jinja
