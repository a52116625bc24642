#include "model/merge/same_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/json.h"
#include "base/log.h"
#include "model/format/architecture.h"
#include "model/format/safetensors.h"

namespace longshot::model {
namespace {

std::map<std::string, std::vector<int64_t>> shapes_of(ModelConfig config) {
  config.tie_word_embeddings = false;
  std::map<std::string, std::vector<int64_t>> shapes;
  for (WeightSpec& spec : expected_weights(config)) shapes[spec.name] = std::move(spec.shape);
  return shapes;
}

void warn_of_other_differences(const NamedConfig& first, const NamedConfig& other) {
  const Json a = config_to_json(*first.config), b = config_to_json(*other.config);
  for (const auto& [key, value] : a.items()) {
    const bool expected = key == "dtype" || key == "torch_dtype" || key == "tie_word_embeddings" ||
                          key == "transformers_version";
    const Json theirs = b.contains(key) ? b.at(key) : Json();
    if (expected || theirs == value) continue;
    log::warn("{} has {} = {}, {} has {}; the result has the former", first.path, key,
              dump_json(value), other.path, dump_json(theirs));
  }
}

std::string shown(const tokenizer::Tokenizer& tokenizer, tokenizer::TokenId id) {
  const std::string bytes = tokenizer.token_bytes(id);
  if (bytes.empty()) return "no token";
  return dump_json(Json(tokenizer.decode(std::span(&id, 1), false))) +
         (tokenizer.is_special(id) ? " (special)" : "");
}

// Texts that the rules of known tokenizers cut differently.
constexpr const char* kTexts[] = {
    "In 2024, 1234567.89 + 3/4 = x^2; y_1 != 'z'.",
    "I'm sure they'll say it's we've DON'T  two  spaces   three\n\n\nlines\t\ttabs\r\n ",
    "naïve café Ünïcödé 你好，世界 こんにちは Привет мир مرحبا नमस्ते 한국어 "
    "🙂👍🏽",
    "def f(a, b):\n    return a**b  # comment\n\nif __name__ == \"__main__\":\n\tprint(f(2, 10))",
};

}  // namespace

Status check_same_architecture(const NamedConfig& first, const NamedConfig& other) {
  const ModelConfig &a = *first.config, &b = *other.config;
  if (a.model_type != b.model_type) {
    return invalid_argument(
        fmt::format("{} is a {} model and {} a {} model: only models of one "
                    "architecture can be merged",
                    first.path, a.model_type, other.path, b.model_type));
  }
  const auto ours = shapes_of(a), theirs = shapes_of(b);
  for (const auto& [name, shape] : ours) {
    const auto found = theirs.find(name);
    if (found != theirs.end() && found->second == shape) continue;
    return invalid_argument(fmt::format(
        "tensor '{}' is {} in {} and {} in {}: only models of one architecture can be merged", name,
        shape_text(shape), first.path,
        found == theirs.end() ? "missing" : shape_text(found->second), other.path));
  }
  for (const auto& [name, shape] : theirs) {
    if (ours.contains(name)) continue;
    return invalid_argument(
        fmt::format("tensor '{}' is missing in {} and {} in {}: only models of one architecture "
                    "can be merged",
                    name, first.path, shape_text(shape), other.path));
  }
  warn_of_other_differences(first, other);
  return ok_status();
}

Status check_same_tokenizer(const std::string& first_path, const tokenizer::Tokenizer& first,
                            const std::string& other_path, const tokenizer::Tokenizer& other) {
  const int size = std::max(first.vocab_size(), other.vocab_size());
  for (tokenizer::TokenId id = 0; id < size; ++id) {
    const std::string bytes = first.token_bytes(id);
    if (bytes != other.token_bytes(id) || first.is_special(id) != other.is_special(id)) {
      return invalid_argument(fmt::format(
          "the tokenizers differ: token {} is {} in {} and {} in {}; only models with the same "
          "tokenizer can be merged",
          id, shown(first, id), first_path, shown(other, id), other_path));
    }
    if (first.encode(bytes, false) == other.encode(bytes, false)) continue;
    return invalid_argument(
        fmt::format("the tokenizers of {} and {} differ: they cut the text of token {}, {}, in "
                    "different ways; only models with the same tokenizer can be merged",
                    first_path, other_path, id, shown(first, id)));
  }
  for (const char* text : kTexts) {
    if (first.encode(text) == other.encode(text)) continue;
    return invalid_argument(
        fmt::format("the tokenizers of {} and {} have the same tokens but cut the text {} in "
                    "different ways; only models with the same tokenizer can be merged",
                    first_path, other_path, dump_json(Json(text))));
  }
  if (first.leading_bos() == other.leading_bos()) return ok_status();
  return invalid_argument(
      fmt::format("the tokenizers of {} and {} put another token before a text; only models with "
                  "the same tokenizer can be merged",
                  first_path, other_path));
}

}  // namespace longshot::model
