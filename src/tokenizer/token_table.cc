#include "tokenizer/token_table.h"

#include <fmt/format.h>

#include "base/json.h"

namespace longshot::tokenizer {

std::string token_table_head(const std::string& figure) {
  return fmt::format("{:>8} {:>10}  text\n", "id", figure);
}

std::string token_table_row(const Tokenizer& tokenizer, TokenId id, const std::string& figure,
                            const std::string& remark) {
  return fmt::format("{:>8} {:>10}  {}{}\n", id, figure, dump_json(Json(tokenizer.token_bytes(id))),
                     remark.empty() ? "" : "  " + remark);
}

std::string marked_text(const Tokenizer& tokenizer, std::span<const TokenId> ids,
                        std::span<const uint8_t> mask) {
  std::string text;
  for (size_t begin = 0; begin < ids.size();) {
    size_t end = begin + 1;
    while (end < ids.size() && (mask[end] != 0) == (mask[begin] != 0)) ++end;
    const std::string part = tokenizer.decode(ids.subspan(begin, end - begin), false);
    text += mask[begin] != 0 ? "«" + part + "»" : part;
    begin = end;
  }
  return text;
}

}  // namespace longshot::tokenizer
