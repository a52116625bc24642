#include "base/settings/settings.h"

#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>
#include <sstream>

#include "base/os/fs.h"
#include "base/settings/parse_toml.h"

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

// `name` is the subject of the error.
template <typename T>
Status read_value(const void* toml_node, const std::string& name, T& value) {
  if (read_node(*static_cast<const toml::node*>(toml_node), value)) return ok_status();
  return invalid_argument(fmt::format("{} wants a value of type {}", name, TypeName<T>::value));
}

// True if a text is meant as a string with quotes or as a list, unlike [a-c]*.jsonl.
bool looks_like_toml(std::string_view text) {
  while (text.ends_with(' ')) text.remove_suffix(1);
  const size_t first = text.find_first_not_of("[ ");
  const bool is_list = text.starts_with('[');
  const bool is_quoted = first != text.npos && (text[first] == '"' || text[first] == '\'');
  return is_quoted || (is_list && text.ends_with(']'));
}

// A value as a person types it for a key of this type: TOML, or else a string without quotes.
Result<toml::table> table_of(const std::string& value, const std::string& type,
                             const std::string& where) {
  auto table = parse_toml("v = " + value, where);
  const bool is_text = type == TypeName<std::string>::value && !value.starts_with('"');
  if (table.ok() || (!is_text && looks_like_toml(value))) return table;
  return toml::table{{"v", value}};
}

}  // namespace

template <typename T>
requires(!Spelled<T>) void Settings::add(const std::string& key, T* field, const std::string& help,
                                         std::type_identity_t<Check<T>> check) {
  Entry entry{key, {TypeName<T>::value, help, toml_text(*field)}, nullptr, nullptr};
  entry.assign = [field, check](const void* toml_node, const std::string& name) -> Status {
    T value{};
    LS_RETURN_IF_ERROR(read_value(toml_node, name, value));
    const std::string problem = check ? check(value) : "";
    if (!problem.empty()) return invalid_argument(fmt::format("{} {}", name, problem));
    *field = std::move(value);
    return ok_status();
  };
  entry.text = [field] { return toml_text(*field); };
  add_entry(std::move(entry));
}

template void Settings::add(const std::string&, bool*, const std::string&, Check<bool>);
template void Settings::add(const std::string&, int*, const std::string&, Check<int>);
template void Settings::add(const std::string&, int64_t*, const std::string&, Check<int64_t>);
template void Settings::add(const std::string&, double*, const std::string&, Check<double>);
template void Settings::add(const std::string&, std::string*, const std::string&,
                            Check<std::string>);
template void Settings::add(const std::string&, std::vector<std::string>*, const std::string&,
                            Check<std::vector<std::string>>);
template void Settings::add(const std::string&, std::vector<double>*, const std::string&,
                            Check<std::vector<double>>);
template void Settings::add(const std::string&, Json*, const std::string&, Check<Json>);

void Settings::add_parsed(const std::string& key, Json* field, const std::string& help,
                          std::function<Status(const Json&)> read) {
  Entry entry{key, {TypeName<Json>::value, help, toml_text(*field)}, nullptr, nullptr};
  entry.assign = [field, read](const void* toml_node, const std::string& name) -> Status {
    Json value;
    LS_RETURN_IF_ERROR(read_value(toml_node, name, value));
    LS_RETURN_IF_ERROR(read(value));
    *field = std::move(value);
    return ok_status();
  };
  entry.text = [field] { return toml_text(*field); };
  add_entry(std::move(entry));
}

void Settings::add_choice(const std::string& key, const std::string& help,
                          std::vector<std::string> names, std::function<std::string()> get,
                          std::function<void(const std::string&)> set) {
  const std::string list = fmt::format("{}", fmt::join(names, ", "));
  Entry entry{
      key, {TypeName<std::string>::value, help + " (" + list + ")", toml_text(get())}, {}, {}};
  entry.assign = [names, list, set](const void* toml_node, const std::string& name) -> Status {
    std::string value;
    LS_RETURN_IF_ERROR(read_value(toml_node, name, value));
    if (std::find(names.begin(), names.end(), value) == names.end())
      return invalid_argument(fmt::format("{} is '{}', must be one of: {}", name, value, list));
    set(value);
    return ok_status();
  };
  entry.text = [get] { return toml_text(get()); };
  add_entry(std::move(entry));
}

void Settings::add_entry(Entry entry) {
  for (const Entry& e : entries_) LS_CHECK(e.key != entry.key, "key bound twice: " + e.key);
  entries_.push_back(std::move(entry));
}

const Settings::Entry& Settings::entry(const std::string& key) const {
  const auto found = std::ranges::find(entries_, key, &Entry::key);
  LS_CHECK(found != entries_.end(), "no key " + key);
  return *found;
}

Status Settings::assign(const std::string& key, const void* toml_node, const std::string& where) {
  const auto found = std::ranges::find(entries_, key, &Entry::key);
  if (found != entries_.end()) return found->assign(toml_node, key).with_context(where);
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
  const std::string key = assignment.substr(0, equals), where = "override " + key;
  const auto found = std::ranges::find(entries_, key, &Entry::key);
  const std::string type = found == entries_.end() ? "" : found->description.type;
  LS_ASSIGN_OR_RETURN(const toml::table table,
                      table_of(assignment.substr(equals + 1), type, where));
  return assign(key, table.get("v"), where);
}

Status Settings::set(const std::string& key, const std::vector<std::string>& words,
                     const std::string& name) const {
  LS_CHECK(!words.empty(), "no word for " + key);
  const Entry& wanted = entry(key);
  const std::string& type = wanted.description.type;
  toml::table table;
  if (type == TypeName<std::vector<std::string>>::value) {
    toml::array list;
    for (const std::string& word : words) list.push_back(word);
    table.insert("v", std::move(list));
  } else if (type == TypeName<std::string>::value) {
    table.insert("v", words.back());
  } else {
    LS_ASSIGN_OR_RETURN(table, table_of(words.back(), type, name));
  }
  return wanted.assign(table.get("v"), name);
}

Status Settings::set_json(const std::string& key, const Json& value, const std::string& where) {
  LS_ASSIGN_OR_RETURN(const toml::table table, parse_toml("v = " + toml_text(value), where));
  return assign(key, table.get("v"), where);
}

const Settings::Description& Settings::description(const std::string& key) const {
  return entry(key).description;
}

std::string Settings::value_text(const std::string& key) const {
  return entry(key).text();
}

std::string Settings::to_toml() const {
  std::string text, section;
  for (const Entry& entry : entries_) {
    const size_t dot = entry.key.rfind('.');
    const std::string own = dot == std::string::npos ? "" : entry.key.substr(0, dot);
    if (own.empty() && entry.text() == "[]") continue;
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
    text += fmt::format("| `{}` | {} | `{}` | {} |\n", entry.key, entry.description.type,
                        entry.description.default_text, entry.description.help);
  }
  return text;
}

std::vector<std::string> Settings::keys() const {
  std::vector<std::string> names;
  for (const Entry& entry : entries_) names.push_back(entry.key);
  return names;
}

}  // namespace longshot
