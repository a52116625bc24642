#pragma once
// Jinja2 templates as chat templates use them: what transformers' ImmutableSandboxedEnvironment
// with trim_blocks, lstrip_blocks, loop controls, {% generation %}, tojson, raise_exception and
// strftime_now renders, byte for byte. Left out, each an error by name: include, import, extends,
// autoescape, and the filters random, urlize and wordwrap.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "tokenizer/jinja/python/value.h"

namespace longshot::tokenizer::jinja {

// JSON as the value that Python's json.loads gives. Nested too deeply: an Error is thrown.
Value value_of(const Json& json);
Value value_of(const OrderedJson& json);

using Variables = std::vector<std::pair<std::string, Value>>;

// Bytes [begin, end) of the output.
struct Span {
  size_t begin = 0, end = 0;
};

struct RenderOptions {
  int64_t max_steps = 20'000'000;    // about a second
  std::time_t now = 0;               // what strftime_now tells; 0 = the clock
  size_t expected_size = 0;          // of the output, in bytes; only memory is reserved for it
  const Variables* fixed = nullptr;  // given too; `variables` win
};

struct Program;

struct Rendered {
  std::string text;
  std::vector<Span> generations;  // bytes of the text inside {% generation %}
};

// Immutable; any number of threads may render at the same time. Cheap to copy.
class Template {
 public:
  // Errors name the line. A template of any size and nesting is parsed or refused.
  static Result<Template> parse(std::string_view source);

  // Errors: what the template raises, with the line; limits of RenderOptions; an output that is
  // not written directly inside {% generation %} (in a macro, say) with `generations`.
  Result<Rendered> render(const Variables& variables, const RenderOptions& options = {},
                          bool generations = false) const;

  bool has_generation() const;
  bool mentions(std::string_view name) const;  // a variable or function

 private:
  std::shared_ptr<const Program> program_;
};

}  // namespace longshot::tokenizer::jinja
