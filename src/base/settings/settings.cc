#include "base/settings/settings.h"

#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>
#include <sstream>

#include "base/os/fs.h"

namespace longshot {
namespace {

template <typename T>
struct TypeName;
template <>
struct TypeName<bool> {
  static constexpr const char* value = "bool";
};
template <>
struct TypeName<int> {
  static constexpr const char* value = "integer";
};
template <>
struct TypeName<int64_t> {
  static constexpr const char* value = "integer";
};
template <>
struct TypeName<double> {
  static constexpr const char* value = "number";
};
template <>
struct TypeName<std::string> {
  static constexpr const char* value = "string";
};
template <>
struct TypeName<std::vector<std::string>> {
  static constexpr const char* value = "list of strings";
};
template <>
struct TypeName<std::vector<double>> {
  static constexpr const char* value = "list of numbers";
};

template <>
struct TypeName<Json> {
  static constexpr const char* value = "list of strings and tables";
};

// Converts tables, lists, strings, numbers and booleans. Returns false for TOML's dates, which a
// configuration does not use.
bool to_json(const toml::node& node, Json& out) {
  if (const toml::table* table = node.as_table()) {
    out = Json::object();
    for (const auto& [key, member] : *table) {
      if (!to_json(member, out[std::string(key.str())])) return false;
    }
    return true;
  }
  if (const toml::array* array = node.as_array()) {
    out = Json::array();
    for (const toml::node& element : *array) {
      if (!to_json(element, out.emplace_back())) return false;
    }
    return true;
  }
  if (const auto* v = node.as_string()) return out = v->get(), true;
  if (const auto* v = node.as_boolean()) return out = v->get(), true;
  if (const auto* v = node.as_integer()) return out = v->get(), true;
  if (const auto* v = node.as_floating_point()) return out = v->get(), true;
  return false;
}

bool read_node(const toml::node& node, Json& out) {
  Json value;
  if (!to_json(node, value)) return false;
  out = value.is_array() ? value : Json::array({value});
  return true;
}

bool read_node(const toml::node& node, bool& out) {
  const auto v = node.value_exact<bool>();
  if (v) out = *v;
  return v.has_value();
}

bool read_node(const toml::node& node, int64_t& out) {
  const auto v = node.value_exact<int64_t>();
  if (v) out = *v;
  return v.has_value();
}

bool read_node(const toml::node& node, int& out) {
  const auto v = node.value_exact<int64_t>();
  if (!v || *v < INT32_MIN || *v > INT32_MAX) return false;
  out = static_cast<int>(*v);
  return true;
}

bool read_node(const toml::node& node, double& out) {
  if (!node.is_number()) return false;
  out = *node.value<double>();
  return true;
}

bool read_node(const toml::node& node, std::string& out) {
  const auto v = node.value_exact<std::string>();
  if (v) out = *v;
  return v.has_value();
}

// Reads a list; a single value is read as a list of one.
template <typename T>
bool read_node(const toml::node& node, std::vector<T>& out) {
  std::vector<T> items;
  if (const toml::array* array = node.as_array()) {
    for (const toml::node& element : *array) {
      T item{};
      if (!read_node(element, item)) return false;
      items.push_back(std::move(item));
    }
  } else {
    T item{};
    if (!read_node(node, item)) return false;
    items.push_back(std::move(item));
  }
  out = std::move(items);
  return true;
}

std::string toml_text(bool v) {
  return v ? "true" : "false";
}
std::string toml_text(int64_t v) {
  return std::to_string(v);
}
std::string toml_text(int v) {
  return std::to_string(v);
}
std::string toml_text(double v) {
  std::string text = fmt::format("{}", v);  // shortest form that reads back equal
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}
std::string toml_text(const std::string& v) {
  std::ostringstream out;
  out << toml::value<std::string>(v);
  return out.str();
}
std::string toml_text(const Json& v) {
  if (v.is_string()) return toml_text(v.get<std::string>());
  if (v.is_boolean()) return toml_text(v.get<bool>());
  if (v.is_number_integer()) return toml_text(v.get<int64_t>());
  if (v.is_number()) return toml_text(v.get<double>());
  std::string text, separator;
  for (const auto& [key, member] : v.items()) {
    text += separator + (v.is_object() ? toml_text(key) + " = " : "") + toml_text(member);
    separator = ", ";
  }
  return v.is_object() ? "{" + text + "}" : "[" + text + "]";
}
template <typename T>
std::string toml_text(const std::vector<T>& items) {
  std::string text = "[";
  for (size_t i = 0; i < items.size(); ++i) text += (i ? ", " : "") + toml_text(items[i]);
  return text + "]";
}

std::string place(const toml::node& node, const std::string& where) {
  const auto line = node.source().begin.line;
  return line == 0 ? where : fmt::format("{}:{}", where, line);
}

struct Leaf {
  std::string key;
  const toml::node* node;
};

void collect_leaves(const toml::table& table, const std::string& prefix, std::vector<Leaf>& out) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + std::string(name.str());
    if (const toml::table* child = node.as_table()) {
      collect_leaves(*child, key + ".", out);
    } else {
      out.push_back({key, &node});
    }
  }
}

// Returns the end of the string that begins at `at`: "...", '...', or either with triple quotes.
size_t end_of_string(std::string_view text, size_t at) {
  const char quote = text[at];
  const std::string three(3, quote);
  const bool long_form = text.substr(at).starts_with(three);
  const std::string_view end = long_form ? std::string_view(three) : text.substr(at, 1);
  for (at += end.size(); at < text.size() && !text.substr(at).starts_with(end); ++at)
    if (text[at] == '\\' && quote == '"') ++at;
  return std::min(at + end.size(), text.size());
}

// The line of a dotted key with more than 100 parts. toml++ limits only the nesting of values, and
// a key with hundreds of thousands of parts would exhaust the stack.
std::optional<int> line_of_deep_key(std::string_view text) {
  constexpr int kMostDots = 100;
  int line = 1, dots = 0;
  for (size_t at = 0; at < text.size();) {
    if (text[at] == '"' || text[at] == '\'') {
      const size_t end = end_of_string(text, at);
      line += static_cast<int>(std::count(text.begin() + at, text.begin() + end, '\n'));
      at = end;
      continue;
    }
    if (text[at] == '#') at = std::min(text.find('\n', at), text.size() - 1);
    if (text[at] == '.' && ++dots > kMostDots) return line;
    if (std::string_view("=[]{},\n").find(text[at]) != std::string_view::npos) dots = 0;
    line += text[at++] == '\n';
  }
  return std::nullopt;
}

Result<toml::table> parse_toml(const std::string& text, const std::string& where) {
  if (const auto line = line_of_deep_key(text))
    return invalid_argument(fmt::format("{}:{}: a key has more than 100 parts", where, *line));
  try {
    return toml::parse(text, where);
  } catch (const toml::parse_error& error) {
    return invalid_argument(fmt::format("{}:{}: {}", where, error.source().begin.line,
                                        std::string(error.description())));
  }
}

}  // namespace

template <typename T>
void Settings::add(const std::string& key, T* field, const std::string& help,
                   std::function<std::string(const T&)> check) {
  Entry entry{key, TypeName<T>::value, help, toml_text(*field), nullptr, nullptr};
  entry.assign = [key, field, check](const void* toml_node, const std::string& where) -> Status {
    const auto& node = *static_cast<const toml::node*>(toml_node);
    T value{};
    if (!read_node(node, value)) {
      return invalid_argument(
          fmt::format("{}: {} wants a value of type {}", where, key, TypeName<T>::value));
    }
    if (check) {
      const std::string problem = check(value);
      if (!problem.empty()) return invalid_argument(fmt::format("{}: {} {}", where, key, problem));
    }
    *field = std::move(value);
    return ok_status();
  };
  entry.text = [field] { return toml_text(*field); };
  add_entry(std::move(entry));
}

template void Settings::add(const std::string&, bool*, const std::string&,
                            std::function<std::string(const bool&)>);
template void Settings::add(const std::string&, int*, const std::string&,
                            std::function<std::string(const int&)>);
template void Settings::add(const std::string&, int64_t*, const std::string&,
                            std::function<std::string(const int64_t&)>);
template void Settings::add(const std::string&, double*, const std::string&,
                            std::function<std::string(const double&)>);
template void Settings::add(const std::string&, std::string*, const std::string&,
                            std::function<std::string(const std::string&)>);
template void Settings::add(const std::string&, std::vector<std::string>*, const std::string&,
                            std::function<std::string(const std::vector<std::string>&)>);
template void Settings::add(const std::string&, std::vector<double>*, const std::string&,
                            std::function<std::string(const std::vector<double>&)>);

template void Settings::add(const std::string&, Json*, const std::string&,
                            std::function<std::string(const Json&)>);

void Settings::add_choice(const std::string& key, std::string* field, const std::string& help,
                          std::vector<std::string> choices) {
  const std::string list = fmt::format("{}", fmt::join(choices, ", "));
  add<std::string>(key, field, help + " (" + list + ")", [choices, list](const std::string& value) {
    const bool known = std::find(choices.begin(), choices.end(), value) != choices.end();
    return known ? std::string() : fmt::format("is '{}', must be one of: {}", value, list);
  });
}

void Settings::add_entry(Entry entry) {
  for (const Entry& e : entries_) LS_CHECK(e.key != entry.key, "key bound twice: " + e.key);
  entries_.push_back(std::move(entry));
}

Status Settings::assign(const std::string& key, const void* toml_node, const std::string& where) {
  for (const Entry& entry : entries_) {
    if (entry.key == key) return entry.assign(toml_node, where);
  }
  return invalid_argument(fmt::format("{}: unknown key '{}'{}", where, key, advice(key)));
}

Status Settings::load_toml(const std::string& text, const std::string& where) {
  LS_ASSIGN_OR_RETURN(const toml::table table, parse_toml(text, where));
  std::vector<Leaf> leaves;
  collect_leaves(table, "", leaves);
  for (const Leaf& leaf : leaves) {
    LS_RETURN_IF_ERROR(assign(leaf.key, leaf.node, place(*leaf.node, where)));
  }
  return ok_status();
}

Status Settings::load_toml_file(const std::string& path) {
  LS_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  return load_toml(text, path);
}

Status Settings::override_with(const std::string& assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) {
    return invalid_argument("override '" + assignment + "' must have the form key=value");
  }
  const std::string key = assignment.substr(0, equals), value = assignment.substr(equals + 1);
  auto table = parse_toml("v = " + value, "override " + key);
  if (!table.ok()) table = toml::table{{"v", value}};  // an unquoted word is a string
  return assign(key, table->get("v"), "override " + key);
}

std::string Settings::value_text(const std::string& key) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.key == key; });
  LS_CHECK(found != entries_.end(), "no key " + key);
  return found->text();
}

std::string Settings::to_toml() const {
  std::string text, section;
  for (const Entry& entry : entries_) {
    const size_t dot = entry.key.rfind('.');
    const std::string own = dot == std::string::npos ? "" : entry.key.substr(0, dot);
    if (own != section) text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", own);
    section = own;
    text += fmt::format("{} = {}\n", entry.key.substr(dot == std::string::npos ? 0 : dot + 1),
                        entry.text());
  }
  return text;
}

std::string Settings::to_markdown() const {
  std::string text, section;
  for (const Entry& entry : entries_) {
    const std::string own = entry.key.substr(0, entry.key.rfind('.'));
    if (own != section) {
      text += fmt::format("{}## [{}]\n\n| key | type | default | meaning |\n|---|---|---|---|\n",
                          text.empty() ? "" : "\n", own);
    }
    section = own;
    text += fmt::format("| `{}` | {} | `{}` | {} |\n", entry.key, entry.type, entry.default_text,
                        entry.help);
  }
  return text;
}

std::vector<std::string> Settings::keys() const {
  std::vector<std::string> names;
  for (const Entry& entry : entries_) names.push_back(entry.key);
  return names;
}

}  // namespace longshot
