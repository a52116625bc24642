#pragma once
// Jinja2 templates as used for chats. The result is byte for byte that of transformers'
// ImmutableSandboxedEnvironment with trim_blocks, lstrip_blocks, loop controls, {% generation %},
// tojson, raise_exception and strftime_now. Not supported, and an error that names the feature:
// include, import, extends, autoescape, and the filters random, urlize and wordwrap.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "tokenizer/jinja/python/value.h"

namespace longshot::tokenizer::jinja {

// JSON as the value that Python's json.loads returns. Throws Error if it nests too deeply.
Value value_of(const Json& json);
Value value_of(const OrderedJson& json);

using Variables = std::vector<std::pair<std::string, Value>>;

// Bytes [begin, end) of the output.
struct Span {
  size_t begin = 0, end = 0;
};

struct RenderOptions {
  int64_t max_steps = 20'000'000;    // about a second
  std::time_t now = 0;               // the time that strftime_now returns; 0 = the clock
  size_t expected_size = 0;          // of the output, in bytes; only used to reserve memory
  const Variables* fixed = nullptr;  // further variables; `variables` take precedence
};

struct Program;

struct Rendered {
  std::string text;
  std::vector<Span> generations;  // bytes of the text inside {% generation %}
};

// Immutable. Any number of threads may render at the same time. Cheap to copy.
class Template {
 public:
  // Errors name the line. Templates of any size and nesting are parsed or refused.
  static Result<Template> parse(std::string_view source);

  // Errors: the template raises one (the message names the line); a limit of RenderOptions is
  // exceeded; with `generations`, a {% generation %} is inside a macro or a captured block, so the
  // place of its text is unknown.
  Result<Rendered> render(const Variables& variables, const RenderOptions& options = {},
                          bool generations = false) const;

  bool has_generation() const;
  // true if it contains a variable or function of this name
  bool mentions(std::string_view name) const;

 private:
  std::shared_ptr<const Program> program_;
};

}  // namespace longshot::tokenizer::jinja
