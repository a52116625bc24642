#include "tokenizer/split/normalizer.h"

#include <map>

namespace longshot::tokenizer {
namespace {
constexpr int kMaxDepth = 16;
}

Result<Normalizer> Normalizer::from_json(const Json& json, const std::string& where) {
  Normalizer normalizer;
  LS_RETURN_IF_ERROR(normalizer.add(json, where, 0));
  return normalizer;
}

Status Normalizer::add(const Json& json, const std::string& where, int depth) {
  if (json.is_null()) return {};
  if (depth > kMaxDepth) return invalid_argument(where + ": nested too deeply");
  LS_ASSIGN_OR_RETURN(const std::string type, json_get<std::string>(json, "type", where));
  if (type == "Sequence") {
    LS_ASSIGN_OR_RETURN(const Json list, json_get<Json>(json, "normalizers", where));
    if (!list.is_array()) return invalid_argument(where + ": key 'normalizers' is not a list");
    for (const Json& item : list) LS_RETURN_IF_ERROR(add(item, where, depth + 1));
    return {};
  }
  static const std::map<std::string, NormalForm> forms = {{"NFC", NormalForm::nfc},
                                                          {"NFD", NormalForm::nfd},
                                                          {"NFKC", NormalForm::nfkc},
                                                          {"NFKD", NormalForm::nfkd}};
  const auto form = forms.find(type);
  if (form == forms.end()) {
    return invalid_argument(where + ": type '" + type +
                            "' is not supported (NFC, NFD, NFKC, NFKD, Sequence are)");
  }
  forms_.push_back(form->second);
  return {};
}

std::string Normalizer::apply(std::string_view text) const {
  std::string out(text);
  for (const NormalForm form : forms_) out = normalize(out, form);
  return out;
}

}  // namespace longshot::tokenizer
