#pragma once
// State that the interpreter changes while it runs a body and restores afterwards.

#include <string>

#include "tokenizer/jinja/interpreter.h"

namespace longshot::tokenizer::jinja {

class Interpreter::Capture {
 public:
  explicit Capture(Interpreter& owner) : owner_(owner), saved_(owner.out_) { owner_.out_ = &text; }
  ~Capture() { owner_.out_ = saved_; }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  std::string text;

 private:
  Interpreter& owner_;
  std::string* saved_;
};

// Runs a function with `frame.function_size` slots for its variables. `outer` is the activation in
// which it was created.
class Interpreter::Call {
 public:
  Call(Interpreter& owner, const Frame& frame, const Ref<Activation>& outer)
      : owner_(owner), saved_(owner.activation_) {
    const auto activation = make_object<Activation>();
    activation->outer = outer;
    activation->slots.resize(static_cast<size_t>(frame.function_size));
    owner_.activation_ = activation;
  }
  ~Call() { owner_.activation_ = saved_; }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

 private:
  Interpreter& owner_;
  Ref<Activation> saved_;
};

}  // namespace longshot::tokenizer::jinja
