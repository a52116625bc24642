#include "tokenizer/jinja/template.h"

#include <fmt/format.h>

#include <optional>

#include "tokenizer/jinja/interpreter.h"
#include "tokenizer/jinja/parser.h"

namespace longshot::tokenizer::jinja {
namespace {

template <typename J>
Value convert(const J& json, int depth) {
  if (depth > 200) fail("the data nest too deeply for a template");
  switch (json.type()) {
    case J::value_t::null:
      return Value::none();
    case J::value_t::boolean:
      return Value::boolean(json.template get<bool>());
    case J::value_t::number_integer:
      return Value::integer(json.template get<int64_t>());
    case J::value_t::number_unsigned:
      return Value::integer(json.template get<uint64_t>());
    case J::value_t::number_float:
      return Value::real(json.template get<double>());
    case J::value_t::string:
      return Value::string(json.template get_ref<const std::string&>());
    case J::value_t::array: {
      Values items;
      items.reserve(json.size());
      for (const auto& item : json) items.push_back(convert(item, depth + 1));
      return Value::list(std::move(items));
    }
    case J::value_t::object: {
      std::vector<std::pair<Value, Value>> items;
      items.reserve(json.size());
      for (const auto& item : json.items())
        items.emplace_back(Value::string(item.key()), convert(item.value(), depth + 1));
      return Value::dict(std::move(items));
    }
    default:
      fail("these data cannot be given to a template");
  }
}

}  // namespace

Value value_of(const Json& json) {
  return convert(json, 0);
}

Value value_of(const OrderedJson& json) {
  return convert(json, 0);
}

Result<Template> Template::parse(std::string_view source) {
  LS_ASSIGN_OR_RETURN(auto program, parse_program(source));
  Template made;
  made.program_ = std::move(program);
  return made;
}

Result<Rendered> Template::render(const Variables& variables, const RenderOptions& options,
                                  bool generations) const {
  std::optional<Interpreter> interpreter;
  const auto place = [&] {
    return fmt::format("line {} of the chat template", interpreter ? interpreter->line() : 1);
  };
  try {
    interpreter.emplace(*program_, variables, options);
    interpreter->run();
  } catch (const Error& error) {
    return invalid_argument(place() + ": " + error.message);
  } catch (const std::exception& error) {  // most likely out of memory
    return internal_error(place() + ": " + error.what());
  }
  if (generations && !interpreter->generations_known)
    return invalid_argument(
        "the chat template has {% generation %} inside a macro or a captured block, so where its "
        "text ends up is not known");
  return Rendered{std::move(interpreter->output), std::move(interpreter->generations)};
}

bool Template::has_generation() const {
  return program_->has_generation;
}

bool Template::mentions(std::string_view name) const {
  return program_->ids.contains(name);
}

}  // namespace longshot::tokenizer::jinja
