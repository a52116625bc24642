#pragma once
// What the interpreter changes while it runs a body, and puts back.

#include <string>

#include "tokenizer/jinja/interpreter.h"

namespace longshot::tokenizer::jinja {

class Interpreter::Enter {
 public:
  explicit Enter(Interpreter& owner, ScopePtr parent) : owner_(owner), saved_(owner.scope_) {
    owner_.scope_ = std::make_shared<Scope>();
    owner_.scope_->parent = std::move(parent);
  }
  explicit Enter(Interpreter& owner) : Enter(owner, owner.scope_) {}
  ~Enter() { owner_.scope_ = std::move(saved_); }
  Enter(const Enter&) = delete;
  Enter& operator=(const Enter&) = delete;

 private:
  Interpreter& owner_;
  ScopePtr saved_;
};

class Interpreter::Capture {
 public:
  explicit Capture(Interpreter& owner) : owner_(owner), saved_(owner.out_) {
    owner_.out_ = &text;
  }
  ~Capture() { owner_.out_ = saved_; }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  std::string text;

 private:
  Interpreter& owner_;
  std::string* saved_;
};

}  // namespace longshot::tokenizer::jinja
