#include "tokenizer/bpe/sentence_decoder.h"

#include <fmt/format.h>

namespace longshot::tokenizer {
namespace {

std::string replace_all(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

}  // namespace

Result<SentenceDecoder> SentenceDecoder::from_json(const Json& json, const std::string& where) {
  SentenceDecoder decoder;
  LS_ASSIGN_OR_RETURN(const std::string type, json_get<std::string>(json, "type", where));
  if (type != "Sequence") {
    LS_RETURN_IF_ERROR(decoder.add(json, where));
    return decoder;
  }
  LS_ASSIGN_OR_RETURN(const Json list, json_get<Json>(json, "decoders", where));
  if (!list.is_array()) return invalid_argument(where + ": key 'decoders' is not a list");
  for (const Json& item : list) LS_RETURN_IF_ERROR(decoder.add(item, where));
  return decoder;
}

Status SentenceDecoder::add(const Json& json, const std::string& where) {
  LS_ASSIGN_OR_RETURN(const std::string type, json_get<std::string>(json, "type", where));
  if (type == "Replace") return add_replace(json, where + ": Replace");
  if (type == "Strip") return add_strip(json, where + ": Strip");
  if (type == "Metaspace") return add_metaspace(json, where + ": Metaspace");
  if (type != "ByteFallback" && type != "Fuse") {
    return invalid_argument(fmt::format(
        "{}: type '{}' is not supported (ByteLevel, or a Sequence of Replace, ByteFallback, Fuse, "
        "Strip and Metaspace is)",
        where, type));
  }
  byte_fallback_ = byte_fallback_ || type == "ByteFallback";
  fused_ = fused_ || type == "Fuse";
  return {};
}

Status SentenceDecoder::add_replace(const Json& json, const std::string& where) {
  LS_ASSIGN_OR_RETURN(const Json pattern, json_get<Json>(json, "pattern", where));
  LS_ASSIGN_OR_RETURN(std::string from,
                      json_get<std::string>(pattern, "String", where + ": pattern"));
  LS_ASSIGN_OR_RETURN(std::string to, json_get<std::string>(json, "content", where));
  if (from.empty()) return invalid_argument(where + ": the pattern is empty");
  if (fused_ || byte_fallback_)
    return invalid_argument(where + ": must precede ByteFallback and Fuse");
  replacements_.emplace_back(std::move(from), std::move(to));
  return {};
}

Status SentenceDecoder::add_strip(const Json& json, const std::string& where) {
  LS_ASSIGN_OR_RETURN(stripped_, json_get<std::string>(json, "content", where));
  LS_ASSIGN_OR_RETURN(strip_count_, json_get<int64_t>(json, "start", where));
  LS_ASSIGN_OR_RETURN(const int64_t stop, json_get<int64_t>(json, "stop", where));
  if (stop != 0) return invalid_argument(where + ": key 'stop' must be 0");
  if (stripped_.empty()) return invalid_argument(where + ": key 'content' is empty");
  return fused_ ? ok_status() : invalid_argument(where + ": must follow Fuse");
}

Status SentenceDecoder::add_metaspace(const Json& json, const std::string& where) {
  LS_ASSIGN_OR_RETURN(std::string space, json_get<std::string>(json, "replacement", where));
  if (space.empty()) return invalid_argument(where + ": key 'replacement' is empty");
  LS_ASSIGN_OR_RETURN(const bool prefix, json_get_or<bool>(json, "add_prefix_space", true, where));
  LS_ASSIGN_OR_RETURN(
      const std::string scheme,
      json_get_or<std::string>(json, "prepend_scheme", prefix ? "always" : "never", where));
  drops_spaces_ = scheme != "never";
  replacements_.emplace_back(std::move(space), " ");
  return {};
}

std::string SentenceDecoder::text_of(std::string_view token) const {
  std::string text(token);
  for (const auto& [from, to] : replacements_) text = replace_all(std::move(text), from, to);
  return text;
}

std::string SentenceDecoder::first_text_of(std::string_view token) const {
  if (!drops_spaces_) return text_of(token);
  return text_of(replace_all(std::string(token), replacements_.back().first, ""));
}

void SentenceDecoder::strip(std::string& text) const {
  for (int64_t i = 0; i < strip_count_ && text.starts_with(stripped_); ++i)
    text.erase(0, stripped_.size());
}

}  // namespace longshot::tokenizer
