#pragma once
// Typed configuration: a table of dotted keys bound to the fields of plain option structs. Values
// come from TOML files, then from `a.b=value` overrides. An unknown key is an error that explains
// the key, or names the nearest known key if one is near. A value of the wrong type or out of range
// is an error that names the key and where it was set.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace longshot {

class Settings {
 public:
  // Binds `key` to `*field`; the field's current value is the default. `help` is one line for the
  // reference. `check`, if given, returns an empty string, or the problem with the new value ("must
  // be > 0"). T: bool, int, int64_t, double, std::string, std::vector<std::string>,
  // std::vector<double>.
  template <typename T>
  void add(const std::string& key, T* field, const std::string& help,
           std::function<std::string(const T&)> check = nullptr);
  // A string restricted to a list.
  void add_choice(const std::string& key, std::string* field, const std::string& help,
                  std::vector<std::string> choices);

  // Text of the error for an unknown key that is `name` or ends with ".name". The first explanation
  // of a name is kept. If several names match, the longest one applies.
  void explain(const std::string& name, const std::string& explanation);

  Status load_toml_file(const std::string& path);
  Status load_toml(const std::string& text, const std::string& where);
  // "optim.lr=3e-5". The value is TOML; an unquoted word is read as a string.
  Status override_with(const std::string& assignment);

  std::string value_text(const std::string& key) const;  // as TOML; dies if the key is not bound
  std::string to_toml() const;                           // all keys with their current values
  std::string to_markdown() const;  // the configuration reference: key, type, default, help
  std::vector<std::string> keys() const;

 private:
  struct Entry {
    std::string key, type, help, default_text;
    std::function<Status(const void* toml_node, const std::string& where)> assign;
    std::function<std::string()> text;
  };
  void add_entry(Entry entry);
  Status assign(const std::string& key, const void* toml_node, const std::string& where);
  std::string advice(const std::string& unknown) const;  // "; did you mean ...?", or empty
  std::vector<std::string> keys_like(const std::string& unknown) const;
  std::vector<Entry> entries_;
  std::map<std::string, std::string> explanations_;
};

}  // namespace longshot
