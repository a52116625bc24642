#include "reward/rules/ifeval/arguments.h"

#include <limits>

namespace longshot::reward {

Result<const Json*> Arguments::find(const std::string& key) const {
  const auto it = values_.is_object() ? values_.find(key) : values_.end();
  if (!values_.is_object() || it == values_.end() || it->is_null())
    return invalid_argument(where_ + " needs the argument '" + key + "'");
  return &*it;
}

Result<int> Arguments::count(const std::string& key) const {
  LS_ASSIGN_OR_RETURN(const Json* value, find(key));
  const auto number = number_of(*value);  // tables of the published rows turn integers into 3.0
  if (!number || *number < 1 || *number > std::numeric_limits<int>::max() ||
      *number != static_cast<double>(static_cast<int>(*number)))
    return invalid_argument(where_ + ": '" + key + "' must be an integer above 0");
  return static_cast<int>(*number);
}

Result<std::string> Arguments::text(const std::string& key) const {
  LS_ASSIGN_OR_RETURN(const Json* value, find(key));
  if (!value->is_string() || value->get_ref<const std::string&>().empty())
    return invalid_argument(where_ + ": '" + key + "' must be a text that is not empty");
  return value->get<std::string>();
}

Result<std::vector<std::string>> Arguments::texts(const std::string& key) const {
  LS_ASSIGN_OR_RETURN(const Json* value, find(key));
  std::vector<std::string> out;
  for (const Json& text : value->is_array() ? *value : Json::array()) {
    if (text.is_string()) out.push_back(text.get<std::string>());
  }
  if (out.empty() || out.size() != value->size())
    return invalid_argument(where_ + ": '" + key + "' must be a list of texts");
  return out;
}

Result<Relation> Arguments::relation(const std::string& key) const {
  LS_ASSIGN_OR_RETURN(const std::string name, text(key));
  if (name == "less than") return Relation::less_than;
  if (name == "at least") return Relation::at_least;
  return invalid_argument(where_ + ": '" + key + "' must be \"less than\" or \"at least\", not \"" +
                          name + "\"");
}

Result<Regex> python_regex(const std::string& pattern, const std::string& flags,
                           const std::string& where) {
  auto regex =
      Regex::compile("(*UCP)(*LF)" + (flags.empty() ? "" : "(?" + flags + ")") + pattern, false);
  if (!regex.ok()) return regex.status().with_context(where);
  return regex;
}

}  // namespace longshot::reward
