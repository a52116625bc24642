#include "tokenizer/chat/chat_template_files.h"

#include <array>
#include <filesystem>

#include "base/json.h"
#include "base/os/fs.h"

namespace longshot::tokenizer {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 7> kTokens = {"bos_token", "eos_token", "unk_token", "sep_token",
                                                "pad_token", "cls_token", "mask_token"};

bool is_there(const fs::path& path) {
  std::error_code ignored;  // read_file() reports an unreadable file
  return fs::exists(path, ignored);
}

Result<Json> read_config(const fs::path& path) {
  if (!is_there(path)) return Json();
  return read_json_file(path.string());
}

// Reads `chat_template`: a string, or a list of named ones.
Status add_templates(const Json& config, const std::string& where, ChatTemplateFiles& out) {
  if (!config.is_object() || !config.contains("chat_template") || config["chat_template"].is_null())
    return ok_status();
  const Json& value = config["chat_template"];
  if (value.is_string()) {
    if (!value.get_ref<const std::string&>().empty())
      out.templates["default"] = value.get<std::string>();
    return ok_status();
  }
  if (!value.is_array())
    return invalid_argument(where + ": key 'chat_template' is neither a string nor a list");
  for (const Json& entry : value) {
    LS_ASSIGN_OR_RETURN(const std::string name,
                        json_get<std::string>(entry, "name", where + ": chat_template"));
    LS_ASSIGN_OR_RETURN(out.templates[name],
                        json_get<std::string>(entry, "template", where + ": chat_template"));
  }
  return ok_status();
}

// Reads the special tokens: each is a string, or an object with its content.
void add_tokens(const Json& config, ChatTemplateFiles& out) {
  if (!config.is_object()) return;
  for (const char* name : kTokens) {
    const auto found = config.find(name);
    if (found == config.end()) continue;
    const Json& value =
        found->is_object() && found->contains("content") ? (*found)["content"] : *found;
    if (!value.is_string()) continue;
    bool known = false;
    for (const auto& [present, text] : out.tokens) known = known || present == name;
    if (!known) out.tokens.emplace_back(name, value.get<std::string>());
  }
}

// Reads the templates in files of their own, which take precedence over tokenizer_config.json.
Status add_files(const fs::path& directory, ChatTemplateFiles& out) {
  const fs::path json = directory / "chat_template.json",
                 single = directory / "chat_template.jinja";
  if (is_there(json)) {
    LS_ASSIGN_OR_RETURN(const Json config, read_json_file(json.string()));
    LS_RETURN_IF_ERROR(add_templates(config, json.string(), out));
  }
  if (is_there(single)) {
    LS_ASSIGN_OR_RETURN(out.templates["default"], read_file(single));
    if (out.templates["default"].empty()) out.templates.erase("default");
  }
  const fs::path more = directory / "additional_chat_templates";
  if (!is_there(more)) return ok_status();
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(more, error)) {
    if (entry.path().extension() != ".jinja") continue;
    LS_ASSIGN_OR_RETURN(out.templates[entry.path().stem().string()], read_file(entry.path()));
  }
  if (error) return io_error("cannot read " + more.string() + ": " + error.message());
  return ok_status();
}

}  // namespace

Result<ChatTemplateFiles> read_chat_template_files(const std::string& directory) {
  const fs::path root(directory);
  const fs::path config_path = root / "tokenizer_config.json";
  ChatTemplateFiles out;
  LS_ASSIGN_OR_RETURN(const Json config, read_config(config_path));
  LS_ASSIGN_OR_RETURN(const Json map, read_config(root / "special_tokens_map.json"));
  LS_RETURN_IF_ERROR(add_templates(config, config_path.string(), out));
  LS_RETURN_IF_ERROR(add_files(root, out));
  add_tokens(config, out);
  add_tokens(map, out);
  return out;
}

}  // namespace longshot::tokenizer
