#pragma once
// Typed configuration: a table of dotted keys bound to the fields of plain option structs. Values
// come from TOML files, then from `a.b=value` overrides. An unknown key is an error that explains
// the key, or names the nearest known key if one is near. A value of the wrong type or out of range
// is an error that names the key and where it was set.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/spelling.h"
#include "base/status.h"

namespace longshot {

class Settings {
 public:
  // Returns an empty string, or the problem with the new value ("must be > 0").
  template <typename T>
  using Check = std::function<std::string(const T&)>;

  // Binds `key` to `*field`; the field's current value is the default. `help` is one line for the
  // reference and the only place that says what the key means. T: bool, int, int64_t, double,
  // std::string, Json, or a std::vector of std::string or double.
  template <typename T>
  requires(!Spelled<T>) void add(const std::string& key, T* field, const std::string& help,
                                 std::type_identity_t<Check<T>> check = nullptr);
  // A list of strings and tables that is used in another form: `read` converts a new value before
  // it is stored. Its error names the place in the list.
  void add_parsed(const std::string& key, Json* field, const std::string& help,
                  std::function<Status(const Json&)> read);
  // A choice: one of `allowed`, which are all values unless only some suit the key.
  template <Spelled E>
  void add(const std::string& key, E* field, const std::string& help,
           std::vector<E> allowed = all_of<E>()) {
    std::vector<std::string> names;
    for (const E value : allowed) names.push_back(name_of(value));
    add_choice(
        key, help, std::move(names), [field] { return std::string(name_of(*field)); },
        [field](const std::string& name) { *field = *value_of<E>(name); });
  }

  // Text of the error for an unknown key that is `name` or ends with ".name". The first explanation
  // of a name is kept. If several names match, the longest one applies.
  void explain(const std::string& name, const std::string& explanation);

  Status load_toml_file(const std::string& path);
  Status load_toml(const std::string& text, const std::string& where);
  // "optim.lr=3e-5". The value is TOML; an unquoted word is read as a string.
  Status override_with(const std::string& assignment);

  // Sets a key from the words of a command line, which are read as the key's type: a string is the
  // word as it is. The error begins with `name`, the name that the key has there. Dies if the key
  // is not bound.
  Status set(const std::string& key, const std::vector<std::string>& words,
             const std::string& name) const;

  // Sets a key to a value in its JSON form. Errors begin with `where`, as for a key of a file.
  Status set_json(const std::string& key, const Json& value, const std::string& where);

  // How a key is described; dies if it is not bound.
  struct Description {
    std::string type;  // "integer", "list of strings"
    std::string help;
    std::string default_text;  // as TOML
  };
  const Description& description(const std::string& key) const;

  std::string value_text(const std::string& key) const;  // as TOML; dies if the key is not bound
  // All keys with their current values, except lists outside the sections that are empty.
  std::string to_toml() const;
  std::string to_markdown() const;  // the configuration reference: key, type, default, help
  std::vector<std::string> keys() const;

 private:
  struct Entry {
    std::string key;
    Description description;
    // Reads a node of toml++. Errors begin with `name`, or name the place in the value themselves.
    std::function<Status(const void* toml_node, const std::string& name)> assign;
    std::function<std::string()> text;
  };
  void add_choice(const std::string& key, const std::string& help, std::vector<std::string> names,
                  std::function<std::string()> get, std::function<void(const std::string&)> set);
  void add_entry(Entry entry);
  const Entry& entry(const std::string& key) const;
  Status assign(const std::string& key, const void* toml_node, const std::string& where);
  std::string advice(const std::string& unknown) const;  // "; did you mean ...?", or empty
  std::vector<std::string> keys_like(const std::string& unknown) const;
  std::vector<Entry> entries_;
  std::map<std::string, std::string> explanations_;
};

}  // namespace longshot
