#include "eval/suite/fill.h"

namespace longshot::eval {
namespace {

const Json* member(const Json& value, const std::string& key) {
  if (value.is_object()) {
    const auto it = value.find(key);
    return it == value.end() ? nullptr : &*it;
  }
  if (!value.is_array() || key.empty() || key.size() > 6 ||
      key.find_first_not_of("0123456789") != key.npos)
    return nullptr;
  const size_t index = std::stoul(key);
  return index < value.size() ? &value[index] : nullptr;
}

// A column whose name contains a period is found as well.
const Json* find(const Json& row, const std::string& path) {
  if (const Json* whole = member(row, path)) return whole;
  const Json* value = &row;
  for (size_t from = 0; value != nullptr && from <= path.size();) {
    const size_t end = std::min(path.find('.', from), path.size());
    value = member(*value, path.substr(from, end - from));
    from = end + 1;
  }
  return value;
}

}  // namespace

Result<std::string> fill(const std::string& text, const Json& row, const std::string& where) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if ((c == '{' || c == '}') && i + 1 < text.size() && text[i + 1] == c) {
      out += c;
      i += 2;
      continue;
    }
    if (c != '{') {
      out += c;
      ++i;
      continue;
    }
    const size_t end = text.find('}', i);
    if (end == text.npos) return invalid_argument(where + ": '{' without '}' in a template");
    const std::string path = text.substr(i + 1, end - i - 1);
    const Json* value = find(row, path);
    if (value == nullptr || value->is_null())
      return invalid_argument(where + ": there is no column '" + path + "', which a template uses");
    out += value->is_string() ? value->get<std::string>() : dump_json(*value);
    i = end + 1;
  }
  return out;
}

const Json* only_column(const std::string& text, const Json& row) {
  const bool one = text.size() > 2 && text.front() == '{' && text.find('}') == text.size() - 1;
  return one ? find(row, text.substr(1, text.size() - 2)) : nullptr;
}

}  // namespace longshot::eval
