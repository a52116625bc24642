#include "server/unsupported.h"

#include <string>
#include <vector>

namespace longshot::server {
namespace {

struct Parameter {
  std::string name;
  std::vector<Json> neutral = {};  // values that change nothing
};

// Parameters with the same alternative.
struct Kind {
  std::string advice;
  std::vector<Parameter> parameters;
};

const Json kEmptyObject = Json::object(), kEmptyList = Json::array();

// What decides on the next token.
std::vector<Kind> of_tokens() {
  return {
      {"the form of an answer cannot be enforced here; describe it in the prompt and check the "
       "answer, of which 'n' draws several",
       {{"response_format", {{{"type", "text"}}}},
        {"structured_outputs"},
        {"guided_json"},
        {"guided_regex"},
        {"guided_grammar"},
        {"guided_decoding_backend"},
        {"guided_whitespace_pattern"},
        {"structural_tag"},
        {"json_schema"},
        {"grammar", {""}},
        {"grammar_lazy", {false}},
        {"grammar_triggers", {kEmptyList}},
        {"regex"},
        {"ebnf"}}},
      {"answers cannot be limited to given texts here; compare the log-probabilities of the texts, "
       "with 'echo', 'logprobs' and \"max_tokens\": 0 in /v1/completions",
       {{"guided_choice"}}},
      {"the samplers here are temperature, top_p, top_k and min_p; leave it out",
       {{"frequency_penalty", {0}},
        {"presence_penalty", {0}},
        {"repetition_penalty", {1}},
        {"repeat_penalty", {1}},
        {"dry_multiplier", {0}},
        {"logit_bias", {kEmptyObject, kEmptyList}},
        {"allowed_token_ids"},
        {"bad_words", {kEmptyList}},
        {"logits_processors", {kEmptyList}},
        {"mirostat", {0}},
        {"dynatemp_range", {0}},
        {"typical_p", {1}},
        {"xtc_probability", {0}},
        {"top_n_sigma", {-1}},
        {"samplers"}}}};
}

// What decides on the prompt, the end of an answer, and what is said about both.
std::vector<Kind> of_texts() {
  return {
      {"there is no beam search here; 'best_of' in /v1/completions draws several samples and keeps "
       "the best",
       {{"use_beam_search", {false}}, {"length_penalty", {1}}, {"early_stopping", {false}}}},
      {"the end of an answer is set by max_tokens (max_new_tokens in /generate), stop, "
       "stop_token_ids and ignore_eos",
       {{"min_tokens", {0}},
        {"min_new_tokens", {0}},
        {"n_predict"},
        {"stop_regex"},
        {"include_stop_str_in_output", {false}},
        {"no_stop_trim", {false}}}},
      {"texts are without special tokens here; 'return_token_ids' gives the ids, as /generate "
       "always does",
       {{"skip_special_tokens", {true}}, {"spaces_between_special_tokens", {true}}}},
      {"prompts are never cut here; shorten the prompt",
       {{"truncate_prompt_tokens"}, {"n_keep", {0}}}},
      {"log-probabilities are given by 'logprobs' ('top_logprobs' in a chat), and those of a "
       "prompt by 'echo' in /v1/completions",
       {{"prompt_logprobs"}, {"n_probs", {0}}}},
      {"the template is chosen when the server starts, with --chat-template", {{"chat_template"}}},
      {"give what the model's chat template reads, such as enable_thinking, in "
       "'chat_template_kwargs'",
       {{"reasoning_effort"},
        {"verbosity"},
        {"reasoning"},
        {"thinking"},
        {"thinking_token_budget"}}},
      {"choose an adapter by the request's 'model' (by 'lora_path' in /generate)",
       {{"lora", {kEmptyList}}}},
      {"messages and answers have text only", {{"audio"}, {"modalities", {{"text"}}}}},
      {"a server without access to the web cannot search it", {{"web_search_options"}}}};
}

}  // namespace

void refuse_unsupported(net::Fields& fields) {
  static const std::vector<Kind> kKinds[] = {of_tokens(), of_texts()};
  for (const std::vector<Kind>& kinds : kKinds)
    for (const Kind& kind : kinds)
      for (const Parameter& parameter : kind.parameters)
        fields.only(parameter.name, parameter.neutral, kind.advice);
  fields.ignore({"user", "metadata", "store", "service_tier", "safety_identifier",
                 "prompt_cache_key", "prompt_cache_retention", "prediction", "cache_prompt"});
}

}  // namespace longshot::server
