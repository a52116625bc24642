// Writes a GGUF vocabulary as the tokenizer.json that the model's own repository would have, and
// loads that.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/log.h"
#include "base/text/base64.h"
#include "base/text/text.h"
#include "tokenizer/bpe/scored_merges.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/tokenizer_json.h"
#include "tokenizer/unicode/unicode.h"

namespace longshot::tokenizer {
namespace {

constexpr const char* kSpace = "\u2581";  // stands for a space in a SentencePiece vocabulary
constexpr int kNormal = 1;
constexpr int kUnknown = 2;
constexpr int kControl = 3;
constexpr int kUserDefined = 4;
constexpr int kUnused = 5;

// A way to split text before merging. `names` are values of tokenizer.ggml.pre that llama.cpp
// treats as equal.
struct PreTokenizerKind {
  std::vector<std::string> names;
  std::vector<std::string> splits;  // patterns, applied one after the other; every match is a piece
  bool nfc = false;  // the models' own tokenizers normalize to NFC, llama.cpp does not
  bool ignore_merges = false;
  bool add_bos = false;   // used if the file does not say whether texts begin with a BOS token
  bool sentence = false;  // of SentencePiece: over characters, with scores instead of merges
  SentenceRules rules = {};
};

constexpr const char* kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

const std::vector<PreTokenizerKind>& kinds() {
  static const std::vector<PreTokenizerKind> list = {
      {{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
        "jina-v5-nano"},
       {kLlama3},
       false,
       true,
       true},
      {{"dbrx", "smaug-bpe"}, {kLlama3}, false, false},
      {{"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2"}, {kQwen2}, true, false},
      {{"stablelm2", "megrez"}, {kQwen2}, false, false},
      {{"gpt-2", "phi-2", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "gigachat", "mpt",
        "olmo", "jais", "a.x-4.0", "mellum", "modern-bert", "exaone4"},
       {kGpt2},
       false,
       false},
      {{"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone"},
       {"\\p{N}", kGpt2},
       false,
       false},
      {{"default"}, {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, "\\p{N}+", "[0-9][0-9][0-9]"}, false, false},
  };
  return list;
}

Result<PreTokenizerKind> find_kind(const std::string& name) {
  if (name.empty()) {
    log::warn(
        "the GGUF file names no pre-tokenizer (tokenizer.ggml.pre): 'default' is taken, as "
        "llama.cpp does; texts may be cut otherwise than in training");
    return find_kind("default");
  }
  std::string known;
  for (const PreTokenizerKind& kind : kinds()) {
    for (const std::string& candidate : kind.names) {
      if (candidate == name) return kind;
      known += (known.empty() ? "" : ", ") + candidate;
    }
  }
  return invalid_argument("tokenizer.ggml.pre '" + name + "' is not supported (" + known + " are)");
}

// llama.cpp puts a BOS before texts unless the file says otherwise.
PreTokenizerKind sentence_kind(const SentenceRules& rules) {
  PreTokenizerKind kind;
  kind.rules = rules;
  kind.add_bos = true;
  kind.sentence = true;
  return kind;
}

OrderedJson byte_level() {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", false}};
}

OrderedJson replace_json(const char* from, const char* to, const char* kind = "String") {
  return {{"type", "Replace"}, {"pattern", {{kind, from}}}, {"content", to}};
}

OrderedJson normalizer_json(const GgufVocabulary& v, const PreTokenizerKind& kind) {
  if (!kind.sentence) return kind.nfc ? OrderedJson{{"type", "NFC"}} : OrderedJson();
  OrderedJson steps = OrderedJson::array();
  if (!kind.rules.character_map.empty())
    steps.push_back(
        {{"type", "Precompiled"}, {"precompiled_charsmap", to_base64(kind.rules.character_map)}});
  if (kind.rules.removes_spaces) {
    steps.push_back(replace_json("\\A +| +\\z", "", "Regex"));
    steps.push_back(replace_json(" {2,}", " ", "Regex"));
  }
  if (v.legacy && v.add_space_prefix.value_or(true))
    steps.push_back({{"type", "Prepend"}, {"prepend", kSpace}});
  steps.push_back(replace_json(" ", kSpace));
  return {{"type", "Sequence"}, {"normalizers", steps}};
}

OrderedJson decoder_json(const GgufVocabulary& v, const PreTokenizerKind& kind) {
  if (!kind.sentence) return byte_level();
  OrderedJson steps = OrderedJson::array(
      {replace_json(kSpace, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}});
  if (v.add_space_prefix.value_or(true))
    steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return {{"type", "Sequence"}, {"decoders", steps}};
}

// Metaspace prepends to the first text only.
OrderedJson metaspace_json(const GgufVocabulary& v) {
  if (v.legacy || !v.add_space_prefix.value_or(true)) return OrderedJson();
  return {{"type", "Metaspace"},
          {"replacement", kSpace},
          {"prepend_scheme", "first"},
          {"split", false}};
}

OrderedJson pre_tokenizer_json(const GgufVocabulary& v, const PreTokenizerKind& kind) {
  if (kind.sentence) return metaspace_json(v);
  OrderedJson steps = OrderedJson::array();
  for (const std::string& pattern : kind.splits) {
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", pattern}}},
                     {"behavior", "Isolated"},
                     {"invert", false}});
  }
  steps.push_back(byte_level());
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

Status check(const GgufVocabulary& v) {
  if (v.model != "gpt2" && v.model != "llama") {
    return invalid_argument("tokenizer.ggml.model '" + v.model +
                            "' is not supported (gpt2, byte-level BPE, and llama, SentencePiece's "
                            "BPE, are)");
  }
  if (v.model == "llama" && v.scores.size() != v.tokens.size()) {
    return invalid_argument(fmt::format("tokenizer.ggml.scores has {} entries for {} tokens",
                                        v.scores.size(), v.tokens.size()));
  }
  if (v.tokens.empty()) return invalid_argument("tokenizer.ggml.tokens is missing or empty");
  if (!v.token_types.empty() && v.token_types.size() != v.tokens.size()) {
    return invalid_argument(fmt::format("tokenizer.ggml.token_type has {} entries for {} tokens",
                                        v.token_types.size(), v.tokens.size()));
  }
  std::set<std::string_view> seen;
  for (size_t i = 0; i < v.tokens.size(); ++i) {
    if (!is_valid_utf8(v.tokens[i]))
      return corrupt(fmt::format("tokenizer.ggml.tokens[{}] is not valid UTF-8", i));
    if (!seen.insert(v.tokens[i]).second) {
      return invalid_argument(
          fmt::format("tokenizer.ggml.tokens[{}]: '{}' occurs twice", i, v.tokens[i]));
    }
  }
  for (size_t i = 0; i < v.merges.size(); ++i) {
    if (!is_valid_utf8(v.merges[i]))
      return corrupt(fmt::format("tokenizer.ggml.merges[{}] is not valid UTF-8", i));
  }
  for (const auto& [name, id] :
       {std::pair{"bos", v.bos}, {"eos", v.eos}, {"padding", v.pad}, {"unknown", v.unknown}}) {
    if (id && (*id < 0 || *id >= static_cast<TokenId>(v.tokens.size()))) {
      return invalid_argument(
          fmt::format("tokenizer.ggml.{}_token_id {} is outside the vocabulary", name, *id));
    }
  }
  return {};
}

int type_of(const GgufVocabulary& v, size_t id) {
  return v.token_types.empty() ? 1 : v.token_types[id];
}
bool is_added(const GgufVocabulary& v, size_t id) {
  const int type = type_of(v, id);
  return type == kControl || type == kUserDefined || (type == kUnknown && v.model == "llama");
}

// Tokens that the user has defined are looked for in texts as they are, so those of several spaces
// (Gemma has them) are written with spaces, as llama.cpp's converter does.
GgufVocabulary with_plain_spaces(GgufVocabulary v) {
  const std::set<std::string> all(v.tokens.begin(), v.tokens.end());
  for (size_t id = 0; id < v.tokens.size(); ++id) {
    if (v.model != "llama" || type_of(v, id) != kUserDefined) continue;
    std::string plain = v.tokens[id];
    replace_all(plain, kSpace, " ");
    if (!all.contains(plain)) v.tokens[id] = plain;
  }
  return v;
}

// Unused tokens at the end only pad the embedding. Added tokens before them are outside the model's
// vocabulary, as in the files from which the models were converted.
void vocabulary_ends(const GgufVocabulary& v, size_t& model_end, size_t& added_end) {
  added_end = v.tokens.size();
  while (added_end > 0 && type_of(v, added_end - 1) == kUnused) --added_end;
  model_end = added_end;
  while (model_end > 0 && is_added(v, model_end - 1)) --model_end;
}

OrderedJson added_tokens_json(const GgufVocabulary& v, size_t end) {
  OrderedJson list = OrderedJson::array();
  for (size_t id = 0; id < end; ++id) {
    if (!is_added(v, id) || v.tokens[id].empty()) continue;
    list.push_back({{"id", id},
                    {"content", v.tokens[id]},
                    {"single_word", false},
                    {"lstrip", false},
                    {"rstrip", false},
                    {"normalized", false},
                    {"special", type_of(v, id) != kUserDefined}});
  }
  return list;
}

OrderedJson merges_json(const GgufVocabulary& v, const PreTokenizerKind& kind) {
  if (!kind.sentence) return v.merges;
  std::vector<bool> usable;
  for (size_t id = 0; id < v.tokens.size(); ++id) usable.push_back(type_of(v, id) == kNormal);
  return scored_merges(v.tokens, v.scores, usable);
}

OrderedJson unigram_json(const GgufVocabulary& v, size_t end) {
  OrderedJson vocab = OrderedJson::array();
  for (size_t id = 0; id < end; ++id)
    vocab.push_back(OrderedJson::array({v.tokens[id], v.scores[id]}));
  OrderedJson model;
  model["type"] = "Unigram";
  model["unk_id"] = v.unknown ? OrderedJson(*v.unknown) : OrderedJson();
  model["vocab"] = std::move(vocab);
  model["byte_fallback"] = std::ranges::find(v.tokens, "<0x00>") != v.tokens.end();
  return model;
}

OrderedJson model_json(const GgufVocabulary& v, const PreTokenizerKind& kind, size_t end) {
  if (kind.rules.unigram) return unigram_json(v, end);
  Json vocab = Json::object();  // sorted, because an ordered object would search linearly
  for (size_t id = 0; id < end; ++id) vocab[v.tokens[id]] = id;
  OrderedJson model;
  model["type"] = "BPE";
  model["dropout"] = nullptr;
  const bool unknown = kind.sentence && v.unknown;
  model["unk_token"] = unknown ? OrderedJson(v.tokens[*v.unknown]) : OrderedJson();
  model["continuing_subword_prefix"] = nullptr;
  model["end_of_word_suffix"] = nullptr;
  model["fuse_unk"] = kind.sentence;
  model["byte_fallback"] = kind.sentence && vocab.contains("<0x00>");
  model["ignore_merges"] = kind.ignore_merges;
  model["vocab"] = std::move(vocab);
  model["merges"] = merges_json(v, kind);
  return model;
}

OrderedJson bos_template(const GgufVocabulary& v) {
  const std::string& bos = v.tokens[*v.bos];
  const auto special = [&](int type) {
    return OrderedJson{{"SpecialToken", {{"id", bos}, {"type_id", type}}}};
  };
  const auto sequence = [](const char* id, int type) {
    return OrderedJson{{"Sequence", {{"id", id}, {"type_id", type}}}};
  };
  OrderedJson json;
  json["type"] = "TemplateProcessing";
  json["single"] = OrderedJson::array({special(0), sequence("A", 0)});
  json["pair"] = OrderedJson::array({special(0), sequence("A", 0), special(1), sequence("B", 1)});
  json["special_tokens"][bos] = {
      {"id", bos}, {"ids", OrderedJson::array({*v.bos})}, {"tokens", OrderedJson::array({bos})}};
  return json;
}

bool adds_bos(const GgufVocabulary& v, const PreTokenizerKind& kind) {
  return v.add_bos.value_or(kind.add_bos);
}

OrderedJson tokenizer_json(const GgufVocabulary& v, const PreTokenizerKind& kind) {
  size_t model_end = 0;
  size_t added_end = 0;
  vocabulary_ends(v, model_end, added_end);
  if (kind.sentence) model_end = added_end;  // scores and special tokens share one list of pieces
  OrderedJson json;
  json["version"] = "1.0";
  json["truncation"] = nullptr;
  json["padding"] = nullptr;
  json["added_tokens"] = added_tokens_json(v, added_end);
  json["normalizer"] = normalizer_json(v, kind);
  json["pre_tokenizer"] = pre_tokenizer_json(v, kind);
  json["post_processor"] = adds_bos(v, kind) ? bos_template(v) : OrderedJson();
  json["decoder"] = decoder_json(v, kind);
  json["model"] = model_json(v, kind, model_end);
  return json;
}

OrderedJson special_tokens_json(const GgufVocabulary& v) {
  OrderedJson json = OrderedJson::object();
  if (v.bos) json["bos_token"] = v.tokens[*v.bos];
  if (v.eos) json["eos_token"] = v.tokens[*v.eos];
  if (v.pad) json["pad_token"] = v.tokens[*v.pad];
  if (v.unknown) json["unk_token"] = v.tokens[*v.unknown];
  return json;
}

OrderedJson config_json(const GgufVocabulary& v, const PreTokenizerKind& kind) {
  OrderedJson json = special_tokens_json(v);
  json["add_bos_token"] = adds_bos(v, kind);
  json["add_prefix_space"] = false;
  json["clean_up_tokenization_spaces"] = false;
  json["tokenizer_class"] = "PreTrainedTokenizerFast";
  if (!v.chat_template.empty()) json["chat_template"] = v.chat_template;
  return json;
}

std::string pretty(const OrderedJson& json) {
  return dump_json(json, 2) + "\n";
}

}  // namespace

Result<TokenizerFiles> gguf_tokenizer_files(const GgufVocabulary& given,
                                            const SentenceRules& rules) {
  LS_RETURN_IF_ERROR(check(given));
  const GgufVocabulary vocabulary = with_plain_spaces(given);
  PreTokenizerKind kind = sentence_kind(rules);
  if (vocabulary.model != "llama") {
    LS_ASSIGN_OR_RETURN(kind, find_kind(vocabulary.pre));
  }
  if (adds_bos(vocabulary, kind) && !vocabulary.bos) {
    return invalid_argument(
        fmt::format("texts begin with a BOS token ({}), but tokenizer.ggml.bos_token_id is missing",
                    vocabulary.add_bos ? "tokenizer.ggml.add_bos_token is true"
                                       : "the default of pre-tokenizer " + vocabulary.pre));
  }
  TokenizerFiles files;
  files.contents = {{"tokenizer.json", pretty(tokenizer_json(vocabulary, kind))},
                    {"tokenizer_config.json", pretty(config_json(vocabulary, kind))},
                    {"special_tokens_map.json", pretty(special_tokens_json(vocabulary))}};
  return files;
}

Result<std::unique_ptr<Tokenizer>> make_gguf_tokenizer(const GgufVocabulary& vocabulary) {
  LS_ASSIGN_OR_RETURN(TokenizerFiles files, gguf_tokenizer_files(vocabulary));
  return parse_tokenizer(std::move(files), "GGUF vocabulary");
}

}  // namespace longshot::tokenizer
