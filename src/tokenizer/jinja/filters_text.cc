// Filters that return texts and numbers.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tokenizer/jinja/filter_tables.h"
#include "tokenizer/jinja/python/characters.h"
#include "tokenizer/jinja/python/formatting.h"
#include "tokenizer/jinja/python/json_text.h"
#include "tokenizer/jinja/python/numbers.h"
#include "tokenizer/jinja/python/text_methods.h"
#include "tokenizer/unicode/unicode.h"

namespace longshot::tokenizer::jinja {
namespace {

// markupsafe's soft_str: a text is unchanged, other values are converted by str().
Value soft(const Value& value, Budget& budget) {
  return value.is(Type::string) ? value : Value::string(str(value, budget));
}

Value like(const Value& source, std::string text) {
  return Value::string(std::move(text), source.markup());
}

template <std::string (*change)(std::string_view)>
Value change_filter(const Value& input, Arguments& arguments, Budget& budget) {
  bind("the filter", arguments, {}, 0);
  const Value text = soft(input, budget);
  budget.charge_bytes(text.text().size() * 4);
  return like(text, change(text.text()));
}

// Jinja2 joins the words as plain texts, even if the input is markup.
template <std::string (*change)(std::string_view)>
Value plain_change_filter(const Value& input, Arguments& arguments, Budget& budget) {
  return Value::string(change_filter<change>(input, arguments, budget).text());
}

bool begins_word(char32_t c) {
  return c == '-' || is_space(c) || c == '(' || c == '{' || c == '[' || c == '<';
}

// Words begin after white space, '-' and opening brackets.
std::string title_words(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size()) {
      const CodePoint c = code_point_at(text, end);
      if (begins_word(c.value) != begins_word(code_point_at(text, at).value)) break;
      end += static_cast<size_t>(c.length);
    }
    const auto item = text.substr(at, end - at);
    const auto first = static_cast<size_t>(code_point_at(item, 0).length);
    out += upper(item.substr(0, first)) + lower(item.substr(first));
    at = end;
  }
  return out;
}

Value trim(const Value& input, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("trim", arguments, {"chars"}, 0);
  const Value text = soft(input, budget);
  budget.charge_bytes(text.text().size());
  return like(text, std::string(strip_by(text.text(), given[0], true, true)));
}

Value replace(const Value& input, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("replace", arguments, {"old", "new", "count"}, 2);
  const Int count = given[2].is(Type::none) ? -1 : integer_or(given[2], -1, "count");
  return Value::string(replace_text(str(input, budget), str(given[0], budget),
                                    str(given[1], budget), count, budget));
}

Value string_filter(const Value& input, Arguments& arguments, Budget& budget) {
  bind("string", arguments, {}, 0);
  return soft(input, budget);
}

Value escape_filter(const Value& input, Arguments& arguments, Budget& budget) {
  bind("escape", arguments, {}, 0);
  if (input.markup()) return input;
  return Value::string(escape_html(str(input, budget)), true);
}

Value force_escape(const Value& input, Arguments& arguments, Budget& budget) {
  bind("forceescape", arguments, {}, 0);
  return Value::string(escape_html(str(input, budget)), true);
}

Value safe_filter(const Value& input, Arguments& arguments, Budget& budget) {
  bind("safe", arguments, {}, 0);
  return Value::string(str(input, budget), true);
}

Value center_filter(const Value& input, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("center", arguments, {"width"}, 0);
  const Value text = soft(input, budget);
  return like(text, center(text.text(), integer_or(given[0], 80, "width"), " ", budget));
}

Value indent(const Value& input, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("indent", arguments, {"width", "first", "blank"}, 0);
  const Value spaces = given[0].is(Type::string)
                           ? given[0]
                           : arithmetic(BinaryOp::multiply, Value::string(" "),
                                        Value::integer(integer_or(given[0], 4, "width")), budget);
  const std::string& padding = spaces.text();
  const std::string text = text_of(input, "the text to indent") + "\n";
  std::string out = bool_or(given[1], false) ? padding : "";
  const auto lines = split_lines(text, false);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += "\n";
    if (i > 0 && (!lines[i].empty() || bool_or(given[2], false))) out += padding;
    out += lines[i];
    budget.charge_bytes(padding.size() + lines[i].size() + 16);
  }
  return like(input, std::move(out));
}

Value truncate_filter(const Value& input, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("truncate", arguments, {"length", "killwords", "end", "leeway"}, 0);
  const Int length = integer_or(given[0], 255, "length");
  const std::string end = given[2].is(Type::undefined) ? "..." : text_of(given[2], "end");
  const Int leeway = given[3].is(Type::none) ? 5 : integer_or(given[3], 5, "leeway");
  const Int end_length = static_cast<Int>(character_count(end));
  if (length < end_length) fail(fmt::format("expected length >= {}, got {}", end_length, length));
  if (leeway < 0) fail(fmt::format("expected leeway >= 0, got {}", leeway));
  const int64_t given_length = length_of(input);
  if (given_length >= 0 && given_length <= length + leeway) return input;
  const std::string& text = text_of(input, "the text to truncate");
  std::string kept = text.substr(0, byte_offset(text, static_cast<size_t>(length - end_length)));
  if (!bool_or(given[1], false)) kept = kept.substr(0, kept.rfind(' '));
  return like(input, kept + end);
}

Value word_count(const Value& input, Arguments& arguments, Budget& budget) {
  bind("wordcount", arguments, {}, 0);
  Int count = 0;
  bool inside = false;
  const Value text = soft(input, budget);
  for (const auto part : characters(text.text())) {
    const bool word = is_word_character(code_point_at(part, 0).value);
    if (word && !inside) ++count;
    inside = word;
  }
  return Value::integer(count);
}

Value format_filter(const Value& input, Arguments& arguments, Budget& budget) {
  const Value format = soft(input, budget);
  if (arguments.named.empty())
    return percent_format(format, Value::tuple(arguments.positional.take()), budget);
  if (!arguments.positional.empty())
    fail("can't handle positional and keyword arguments at the same time");
  Values keys, values;
  for (auto& [name, value] : arguments.named) {
    keys.push_back(Value::string(name));
    values.push_back(std::move(value));
  }
  return percent_format(format, make_dict(std::move(keys), std::move(values), budget), budget);
}

Value strip_tags(const Value& input, Arguments& arguments, Budget& budget) {
  bind("striptags", arguments, {}, 0);
  std::string text = str(input, budget);
  const auto cut = [&](std::string_view open, std::string_view close) {
    for (size_t at = text.find(open); at != std::string::npos; at = text.find(open)) {
      const size_t end = text.find(close, at);
      if (end == std::string::npos) break;
      budget.charge_bytes(text.size());
      text.erase(at, end + close.size() - at);
    }
  };
  cut("<!--", "-->");
  cut("<", ">");
  std::string out;
  for (std::string_view rest = strip(text); !rest.empty();) {
    const size_t end = [&] {
      size_t at = 0;
      while (at < rest.size() && !is_space(code_point_at(rest, at).value))
        at += static_cast<size_t>(code_point_at(rest, at).length);
      return at;
    }();
    if (!out.empty()) out += ' ';
    out += rest.substr(0, end);
    rest = strip_left(rest.substr(end));
  }
  for (const auto& [entity, character] :
       {std::pair{"&lt;", "<"}, {"&gt;", ">"}, {"&#34;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}})
    out = replace_text(out, entity, character, -1, budget);
  return Value::string(std::move(out));
}

std::string quote_url(std::string_view text, bool query) {
  std::string out;
  for (const char c : text) {
    const bool kept = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' ||
                      c == '-' || c == '~' || (c == '/' && !query);
    if (kept && static_cast<unsigned char>(c) < 0x80) {
      out += c;
    } else if (c == ' ' && query) {
      out += '+';
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

Value url_encode(const Value& input, Arguments& arguments, Budget& budget) {
  bind("urlencode", arguments, {}, 0);
  if (input.is(Type::string) || !iterable(input))
    return Value::string(quote_url(str(input, budget), false));
  std::string out;
  Values pairs;
  if (input.is(Type::dict)) {
    for (const auto& [key, value] : input.dict().items) pairs.push_back(Value::tuple({key, value}));
  } else {
    pairs = *items_of(input, budget);
  }
  for (const Value& pair : pairs) {
    const auto parts = items_of(pair, budget);
    if (parts->size() != 2) fail("urlencode takes pairs");
    if (!out.empty()) out += '&';
    out +=
        quote_url(str((*parts)[0], budget), true) + "=" + quote_url(str((*parts)[1], budget), true);
  }
  return Value::string(std::move(out));
}

Value xml_attributes(const Value& input, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("xmlattr", arguments, {"autospace"}, 0);
  if (!input.is(Type::dict)) fail("xmlattr takes a mapping");
  std::string out;
  for (const auto& [key, value] : input.dict().items) {
    if (value.is(Type::none) || value.is(Type::undefined)) continue;
    if (text_of(key, "an attribute's name").find_first_of(" \t\n\r\f\v/>=") != std::string::npos)
      fail("Invalid character in attribute name: " + key.text());
    if (!out.empty()) out += ' ';
    out += escape_html(key.text()) + "=\"" +
           (value.markup() ? value.text() : escape_html(str(value, budget))) + "\"";
  }
  if (bool_or(given[0], true) && !out.empty()) out.insert(0, " ");
  return Value::string(std::move(out));
}

Value pretty_print(const Value& input, Arguments& arguments, Budget& budget) {
  bind("pprint", arguments, {}, 0);
  const std::string text = repr(input, budget);
  if (text.size() > 80) fail("pprint of values longer than a line is not supported");
  if (input.is(Type::dict) && input.dict().items.size() > 1)
    fail("pprint of dicts is not supported");
  return Value::string(text);
}

Value int_filter(const Value& input, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("int", arguments, {"default", "base"}, 0);
  const Value fallback = given[0].is(Type::undefined) ? Value::integer(0) : given[0];
  if (input.is(Type::undefined)) fail(input.undefined_message());
  if (input.is(Type::integer) || input.is(Type::boolean)) return Value::integer(input.as_int());
  if (input.is(Type::string)) {
    const auto whole =
        parse_integer(input.text(), static_cast<int>(integer_or(given[1], 10, "base")));
    if (whole) return Value::integer(*whole);
    const auto real = parse_real(input.text());
    return real && std::isfinite(*real) ? Value::integer(truncate(*real)) : fallback;
  }
  if (!input.is(Type::real)) return fallback;
  if (std::isinf(input.as_double())) fail("cannot convert float infinity to integer");
  return std::isnan(input.as_double()) ? fallback : Value::integer(truncate(input.as_double()));
}

Value float_filter(const Value& input, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("float", arguments, {"default"}, 0);
  const Value fallback = given[0].is(Type::undefined) ? Value::real(0) : given[0];
  if (input.is(Type::undefined)) fail(input.undefined_message());
  if (input.is_number()) return Value::real(input.as_double());
  const auto real = input.is(Type::string) ? parse_real(input.text()) : std::nullopt;
  return real ? Value::real(*real) : fallback;
}

Value abs_filter(const Value& input, Arguments& arguments, Budget& budget) {
  bind("abs", arguments, {}, 0);
  return absolute(input);
}

Value round_filter(const Value& input, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("round", arguments, {"precision", "method"}, 0);
  const Int digits = integer_or(given[0], 0, "precision");
  const std::string method = given[1].is(Type::undefined) ? "common" : text_of(given[1], "method");
  if (input.is(Type::undefined)) fail(input.undefined_message());
  if (method == "common") return round_number(input, digits);
  if (method != "ceil" && method != "floor") fail("method must be common, ceil or floor");
  const Value unit =
      arithmetic(BinaryOp::power, Value::integer(10), Value::integer(digits), budget);
  const Value scaled = arithmetic(BinaryOp::multiply, input, unit, budget);
  if (!scaled.is_number()) fail("must be real number, not " + type_name(input));
  const double whole =
      method == "ceil" ? std::ceil(scaled.as_double()) : std::floor(scaled.as_double());
  return arithmetic(BinaryOp::divide, Value::integer(truncate(whole)), unit, budget);
}

Value file_size(const Value& input, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("filesizeformat", arguments, {"binary"}, 0);
  const auto parsed = input.is(Type::string) ? parse_real(input.text())
                      : input.is_number()    ? std::optional(input.as_double())
                                             : std::nullopt;
  if (!parsed) fail("filesizeformat takes a number, not " + type_name(input));
  const bool binary = bool_or(given[0], false);
  const double base = binary ? 1024 : 1000;
  if (*parsed == 1) return Value::string("1 Byte");
  if (*parsed < base) return Value::string(integer_text(truncate(*parsed)) + " Bytes");
  constexpr std::string_view kPrefixes = "kMGTPEZY";
  double unit = base;
  for (size_t i = 0; i < kPrefixes.size(); ++i) {
    unit *= base;
    if (*parsed >= unit && i + 1 < kPrefixes.size()) continue;
    std::string prefix(1, kPrefixes[i]);
    if (binary) prefix = (i == 0 ? "K" : prefix) + "i";
    return Value::string(fmt::format("{:.1f} {}B", base * *parsed / unit, prefix));
  }
  return {};
}

Value to_json(const Value& input, Arguments& arguments, Budget& budget) {
  const ValueList given =
      bind("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"}, 0);
  JsonStyle style;
  style.ensure_ascii = bool_or(given[0], false);
  style.sort_keys = bool_or(given[3], false);
  std::string level;
  if (given[1].is(Type::string)) level = given[1].text();
  if (given[1].is_number()) {
    const Int width = integer_or(given[1], 0, "indent");
    if (width > 1000) fail("tojson's indent is too large");
    level = std::string(static_cast<size_t>(std::max<Int>(width, 0)), ' ');
  }
  if (given[1].is(Type::string) || given[1].is_number()) {
    style.indent = &level;
    style.item_separator = ",";
  }
  if (!given[2].is(Type::undefined) && !given[2].is(Type::none)) {
    const auto pair = items_of(given[2], budget);
    if (pair->size() != 2) fail("tojson's separators are two texts");
    style.item_separator = text_of((*pair)[0], "a separator");
    style.key_separator = text_of((*pair)[1], "a separator");
  }
  return Value::string(json_text(input, style, budget));
}

}  // namespace

const FilterTable& text_filters() {
  static const FilterTable table = {
      {"abs", abs_filter},
      {"capitalize", change_filter<capitalize>},
      {"center", center_filter},
      {"e", escape_filter},
      {"escape", escape_filter},
      {"filesizeformat", file_size},
      {"float", float_filter},
      {"forceescape", force_escape},
      {"format", format_filter},
      {"indent", indent},
      {"int", int_filter},
      {"lower", change_filter<lower>},
      {"pprint", pretty_print},
      {"replace", replace},
      {"round", round_filter},
      {"safe", safe_filter},
      {"string", string_filter},
      {"striptags", strip_tags},
      {"title", plain_change_filter<title_words>},
      {"tojson", to_json},
      {"trim", trim},
      {"truncate", truncate_filter},
      {"upper", change_filter<upper>},
      {"urlencode", url_encode},
      {"wordcount", word_count},
      {"xmlattr", xml_attributes},
  };
  return table;
}

}  // namespace longshot::tokenizer::jinja
