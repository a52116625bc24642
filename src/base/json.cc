#include "base/json.h"

#include "base/fs.h"

namespace longshot {

Result<Json> parse_json(std::string_view text, const std::string& where) {
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    return invalid_argument(where + ": not valid JSON at byte " + std::to_string(error.byte));
  } catch (const nlohmann::json::exception& error) {  // a number beyond double's range, such as 1e999
    return invalid_argument(where + ": not valid JSON: " + error.what());
  }
}

Result<Json> read_json_file(const std::string& path) {
  LS_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  return parse_json(text, path);
}

std::string dump_json(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string dump_json(const OrderedJson& value) {
  return value.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

}  // namespace longshot
