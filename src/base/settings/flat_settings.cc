#include "base/settings/flat_settings.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <sstream>

namespace longshot {
namespace {

std::string text_of(const toml::node& node) {
  if (const auto* string = node.as_string()) return string->get();
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  std::ostringstream text;
  node.visit([&](const auto& value) { text << value; });
  return text.str();
}

void flatten(const toml::table& table, const std::string& prefix, FlatSettings& out) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + std::string(name.str());
    const toml::table* inner = node.as_table();
    if (inner != nullptr && !inner->is_inline()) {
      flatten(*inner, key + ".", out);
    } else {
      out.emplace_back(key, text_of(node));
    }
  }
}

}  // namespace

Result<FlatSettings> flat_settings(const std::string& toml, const std::string& where) {
  FlatSettings settings;
  try {
    flatten(toml::parse(toml), "", settings);
  } catch (const toml::parse_error& error) {
    return invalid_argument(where + ": " + std::string(error.description()));
  }
  return settings;
}

}  // namespace longshot
