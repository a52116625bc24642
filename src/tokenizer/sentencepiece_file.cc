#include "tokenizer/sentencepiece_file.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <bit>
#include <climits>
#include <filesystem>
#include <functional>
#include <map>

#include "base/json.h"
#include "base/os/fs.h"
#include "tokenizer/tokenizer_json.h"

namespace longshot::tokenizer {
namespace {

namespace fs = std::filesystem;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

constexpr int kUnigram = 1, kBpe = 2;  // TrainerSpec.ModelType
constexpr int kControl = 3, kUserDefined = 4;

// One field of a message: a number, or the bytes of a text or message.
struct Field {
  int number = 0;
  uint64_t value = 0;
  std::string bytes;
};

// Calls `use` for each field of a message, in order. False if the message is damaged.
bool read_fields(std::string_view message, const std::function<bool(const Field&)>& use) {
  if (message.size() > INT_MAX) return false;
  CodedInputStream in(reinterpret_cast<const uint8_t*>(message.data()),
                      static_cast<int>(message.size()));
  while (const uint32_t tag = in.ReadTag()) {
    Field field;
    field.number = static_cast<int>(tag >> 3);
    uint32_t size = 0, word = 0;
    bool ok = false;
    switch (WireFormatLite::GetTagWireType(tag)) {
      case WireFormatLite::WIRETYPE_VARINT:
        ok = in.ReadVarint64(&field.value);
        break;
      case WireFormatLite::WIRETYPE_FIXED32:
        ok = in.ReadLittleEndian32(&word);
        field.value = word;
        break;
      case WireFormatLite::WIRETYPE_LENGTH_DELIMITED:
        ok = in.ReadVarint32(&size) && size <= message.size() &&
             in.ReadString(&field.bytes, static_cast<int>(size));
        break;
      default:
        ok = WireFormatLite::SkipField(&in, tag);
    }
    if (!ok || !use(field)) return false;
  }
  return in.ConsumedEntireMessage();
}

// The fields of ModelProto that decide what a tokenizer does.
struct Model {
  SentencepieceModel made;
  int type = kUnigram;  // TrainerSpec.model_type
  int bos = 1, eos = 2, unknown = 0, pad = -1;
};

bool read_piece(const std::string& message, GgufVocabulary& v) {
  std::string piece;
  float score = 0;
  int type = 1;
  const bool ok = read_fields(message, [&](const Field& field) {
    if (field.number == 1) piece = field.bytes;
    if (field.number == 2) score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
    if (field.number == 3) type = static_cast<int>(field.value);
    return true;
  });
  v.tokens.push_back(std::move(piece));
  v.scores.push_back(score);
  v.token_types.push_back(type);
  return ok;
}

bool read_trainer(const std::string& message, Model& model) {
  const std::map<int, int*> numbers = {
      {3, &model.type}, {40, &model.unknown}, {41, &model.bos}, {42, &model.eos}, {43, &model.pad}};
  return read_fields(message, [&](const Field& field) {
    const auto found = numbers.find(field.number);
    if (found != numbers.end()) *found->second = static_cast<int>(field.value);
    return true;
  });
}

bool read_normalizer(const std::string& message, Model& model) {
  return read_fields(message, [&](const Field& field) {
    if (field.number == 2) model.made.rules.character_map = field.bytes;
    if (field.number == 3) model.made.vocabulary.add_space_prefix = field.value != 0;
    if (field.number == 4) model.made.rules.removes_spaces = field.value != 0;
    return true;
  });
}

bool read_model(std::string_view bytes, Model& model) {
  return read_fields(bytes, [&](const Field& field) {
    if (field.number == 1) return read_piece(field.bytes, model.made.vocabulary);
    if (field.number == 2) return read_trainer(field.bytes, model);
    return field.number != 3 || read_normalizer(field.bytes, model);
  });
}

// transformers can write a tokenizer.json with the features that are refused here.
Status unsupported(const std::string& where, const std::string& what) {
  return invalid_argument(fmt::format(
      "{}: {}, which is not supported; save the tokenizer with transformers' save_pretrained(), "
      "which writes a tokenizer.json",
      where, what));
}

// Adds a token that only tokenizer_config.json or added_tokens.json has.
Status add_token(GgufVocabulary& v, int64_t id, const std::string& content, bool special,
                 const std::string& where) {
  const auto size = static_cast<int64_t>(v.tokens.size());
  if (id >= 0 && id < size && v.tokens[static_cast<size_t>(id)] == content) return ok_status();
  if (id != size)
    return invalid_argument(fmt::format(
        "{}: the added token '{}' has id {}; the next free one is {}", where, content, id, size));
  v.tokens.push_back(content);
  v.scores.push_back(0);
  v.token_types.push_back(special ? kControl : kUserDefined);
  return ok_status();
}

// The added tokens by id: of tokenizer_config.json, or if it has none, of added_tokens.json.
Result<std::map<int64_t, Json>> added_tokens(const Json& config, const Json& list,
                                             const std::string& where) {
  std::map<int64_t, Json> out;
  if (config.contains("added_tokens_decoder") && config["added_tokens_decoder"].is_object()) {
    for (const auto& [id, token] : config["added_tokens_decoder"].items())
      out[std::strtoll(id.c_str(), nullptr, 10)] = token;
    return out;
  }
  for (const auto& [content, id] : list.items()) {
    if (!id.is_number_integer())
      return invalid_argument(where + ": the id of '" + content + "' is not an integer");
    out[id.get<int64_t>()] = Json{{"content", content}, {"special", true}};
  }
  return out;
}

Status add_tokens(GgufVocabulary& v, const Json& config, const Json& list,
                  const std::string& where) {
  LS_ASSIGN_OR_RETURN(const auto tokens, added_tokens(config, list, where));
  for (const auto& [id, token] : tokens) {
    LS_ASSIGN_OR_RETURN(const std::string content, json_get<std::string>(token, "content", where));
    LS_ASSIGN_OR_RETURN(const bool special, json_get_or<bool>(token, "special", false, where));
    const bool known = id < static_cast<int64_t>(v.tokens.size());
    for (const char* key : {"lstrip", "rstrip", "single_word"}) {
      LS_ASSIGN_OR_RETURN(const bool flag, json_get_or<bool>(token, key, false, where));
      if (flag && !known)
        return unsupported(where, fmt::format("the added token '{}' has '{}'", content, key));
    }
    LS_RETURN_IF_ERROR(add_token(v, id, content, special, where));
  }
  return ok_status();
}

Result<Json> read_object(const fs::path& path) {
  std::error_code ignored;  // read_json_file() reports an unreadable file
  if (!fs::exists(path, ignored)) return Json(Json::object());
  LS_ASSIGN_OR_RETURN(Json json, read_json_file(path.string()));
  if (!json.is_object()) return invalid_argument(path.string() + ": not a JSON object");
  return json;
}

}  // namespace

Result<SentencepieceModel> read_sentencepiece(std::string_view bytes, const std::string& where) {
  Model model;
  model.made.vocabulary.add_space_prefix = true;
  model.made.rules.removes_spaces = true;
  if (!read_model(bytes, model)) return corrupt(where + ": damaged, or not a SentencePiece model");
  GgufVocabulary& v = model.made.vocabulary;
  if (v.tokens.empty()) return corrupt(where + ": has no pieces");
  if (model.type != kBpe && model.type != kUnigram)
    return unsupported(where, fmt::format("is of type {} (words or characters)", model.type));
  model.made.rules.unigram = model.type == kUnigram;
  const auto id = [&](int value) {
    const bool known = value >= 0 && value < static_cast<int>(v.tokens.size());
    return known ? std::optional<TokenId>(value) : std::nullopt;
  };
  v.model = "llama";
  v.bos = id(model.bos);
  v.eos = id(model.eos);
  v.pad = id(model.pad);
  v.unknown = id(model.unknown);
  return std::move(model.made);
}

Result<std::unique_ptr<Tokenizer>> load_sentencepiece(const std::string& directory) {
  const fs::path root(directory);
  const std::string where = (root / "tokenizer.model").string();
  LS_ASSIGN_OR_RETURN(const std::string bytes, read_file(where));
  LS_ASSIGN_OR_RETURN(SentencepieceModel model, read_sentencepiece(bytes, where));
  GgufVocabulary& v = model.vocabulary;
  const std::string config_path = (root / "tokenizer_config.json").string();
  LS_ASSIGN_OR_RETURN(const Json config, read_object(config_path));
  LS_ASSIGN_OR_RETURN(const Json list, read_object(root / "added_tokens.json"));
  LS_RETURN_IF_ERROR(add_tokens(v, config, list, config_path));
  LS_ASSIGN_OR_RETURN(v.add_bos, json_get_or<bool>(config, "add_bos_token", true, config_path));
  v.add_bos = *v.add_bos && v.bos;
  LS_ASSIGN_OR_RETURN(v.legacy, json_get_or<bool>(config, "legacy", true, config_path));
  LS_ASSIGN_OR_RETURN(TokenizerFiles made, gguf_tokenizer_files(v, model.rules));
  LS_ASSIGN_OR_RETURN(TokenizerFiles files, TokenizerFiles::read(directory, "tokenizer.model"));
  files.contents.insert(files.contents.begin(), std::move(made.contents.front()));
  return parse_tokenizer(std::move(files), where);
}

}  // namespace longshot::tokenizer
