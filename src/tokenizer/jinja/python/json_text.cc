#include "tokenizer/jinja/python/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tokenizer/jinja/python/numbers.h"
#include "tokenizer/unicode/unicode.h"

namespace longshot::tokenizer::jinja {
namespace {

void append_unit(uint32_t unit, std::string& out) {
  out += fmt::format("\\u{:04x}", unit);
}

void append_json_character(char32_t c, bool ensure_ascii, std::string& out) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\b':
      out += "\\b";
      return;
    default:
      break;
  }
  if (c < 0x20 || (ensure_ascii && c > 0x7E && c < 0x10000)) {
    append_unit(c, out);
  } else if (ensure_ascii && c >= 0x10000) {
    append_unit(0xD800 + ((c - 0x10000) >> 10), out);
    append_unit(0xDC00 + ((c - 0x10000) & 0x3FF), out);
  } else {
    append_utf8(c, out);
  }
}

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, Budget& budget) : style_(style), budget_(budget) {}

  void write(const Value& value) {
    const Budget::Depth depth(budget_);
    budget_.charge(1);
    switch (value.type()) {
      case Type::none:
        out += "null";
        return;
      case Type::boolean:
        out += value.as_bool() ? "true" : "false";
        return;
      case Type::integer:
        out += integer_text(value.as_int());
        return;
      case Type::real:
        out += real_json(value.as_double());
        return;
      case Type::string:
        return write_text(value.text());
      case Type::list:
      case Type::tuple:
        return write_list(value.items());
      case Type::dict:
        return write_dict(value.dict().items);
      default:
        fail("Object of type " + type_name(value) + " is not JSON serializable" +
             (value.is(Type::undefined) ? " (" + value.undefined_message() + ")" : ""));
    }
  }

  std::string out;

 private:
  static std::string real_json(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return real_text(value);
  }

  void write_text(const std::string& text) {
    budget_.charge_bytes(text.size());
    out += '"';
    for (size_t at = 0; at < text.size();) {
      const auto byte = static_cast<unsigned char>(text[at]);
      if (byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\') {
        out += text[at++];
        continue;
      }
      const CodePoint c = code_point_at(text, at);
      append_json_character(c.value, style_.ensure_ascii, out);
      at += static_cast<size_t>(c.length);
    }
    out += '"';
  }

  void new_line() {
    if (style_.indent == nullptr) return;
    out += '\n';
    for (int i = 0; i < level_; ++i) out += *style_.indent;
    budget_.charge_bytes(static_cast<size_t>(level_) * style_.indent->size());
  }

  void write_list(const Values& items) {
    if (items.empty()) {
      out += "[]";
      return;
    }
    out += '[';
    ++level_;
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += style_.item_separator;
      new_line();
      write(items[i]);
    }
    --level_;
    new_line();
    out += ']';
  }

  std::string key_text(const Value& key) {
    switch (key.type()) {
      case Type::string:
        return key.text();
      case Type::none:
        return "null";
      case Type::boolean:
        return key.as_bool() ? "true" : "false";
      case Type::integer:
        return integer_text(key.as_int());
      case Type::real:
        return real_json(key.as_double());
      default:
        fail("keys must be str, int, float, bool or None, not " + type_name(key));
    }
  }

  void write_dict(std::vector<std::pair<Value, Value>> items) {
    if (items.empty()) {
      out += "{}";
      return;
    }
    if (style_.sort_keys)
      std::stable_sort(items.begin(), items.end(), [&](const auto& a, const auto& b) {
        return compare(a.first, b.first, "<", budget_) == Order::less;
      });
    out += '{';
    ++level_;
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += style_.item_separator;
      new_line();
      write_text(key_text(items[i].first));
      out += style_.key_separator;
      write(items[i].second);
    }
    --level_;
    new_line();
    out += '}';
  }

  const JsonStyle& style_;
  Budget& budget_;
  int level_ = 0;
};

}  // namespace

std::string json_text(const Value& value, const JsonStyle& style, Budget& budget) {
  JsonWriter writer(style, budget);
  writer.write(value);
  budget.charge_bytes(writer.out.size());
  return std::move(writer.out);
}

}  // namespace longshot::tokenizer::jinja
