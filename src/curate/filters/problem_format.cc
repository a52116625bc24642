#include "curate/filters/problem_format.h"

#include <array>
#include <utility>

#include "base/text/text.h"

namespace longshot::curate {
namespace {

using enum ProblemFormat;

// The beginning of a clause, where an instruction may be.
#define CLAUSE R"((?:^|[.;:,?!)。；：，？！）\n]|\b(?:please|then|thus|hence)\b)[\s*_$#\d.()]*(?:please\s+|hence,?\s+|therefore,?\s+|or\s+)?)"
#define STATEMENT R"((?:statements?|claims?|assertions?|propositions?|sentences?|equalit(?:y|ies)|inequalit(?:y|ies)|equations?|formulas?|conclusions?|conjectures?))"

struct Wording {
  ProblemFormat format;
  const char* pattern;
};

constexpr auto kWordings = std::to_array<Wording>({
    // Multiple choice.
    {multiple_choice, "(?i)" CLAUSE R"((?:in |under |at |to )?which (?:one |ones |two )?(?:of|among) (?:the |these )?(?:following|options|choices|alternatives|answers|above|below|these)\b)"},
    {multiple_choice, R"((?i)\b(?:choose|select|pick|mark|circle|tick|check|identify|indicate)\s+(?:only\s+)?(?:the\s+|one\s+|all\s+)?(?:single\s+)?(?:most\s+)?(?:correct|best|right|appropriate|accurate|suitable|true)?\s*(?:letter of the\s+)?(?:answers?|options?|choices?|alternatives?)\b(?!\s+(?:path|pair))(?!\s+(?:for|is not))(?=[^.]{0,60}(?:from|among|below|above|following|given|listed|provided|:|\.|$)))"},
    {multiple_choice, R"((?i)\bselect (?:all|any|each)\b[^.]{0,30}\bappl(?:y|ies)\b|\bchoose all that apply\b|\ball of the above\b|\bnone of the above\b|\bnone of these\b)"},
    {multiple_choice, R"((?i)\b(?:answer|respond|reply) (?:only )?with (?:only )?(?:the |a |one )?(?:single |correct )?(?:option'?s? )?letter\b|\bthe letter of (?:the|your) (?:correct |best |right )?(?:answer|option|choice)\b|\b(?:the )?(?:correct|right|best) (?:option|choice|alternative) (?:is|would be)\b)"},
    {multiple_choice, R"((?i)^\W*(?:\(?multiple[- ]choice\)?|single[- ]choice)\b|\bmultiple[- ]choice question:)"},
    {multiple_choice, R"(选择题[】\]:：。，]|^[\s【\[（(]*(?:单选|多选|单项选择|多项选择|不定项选择))"},
    {multiple_choice, R"((?:下列|以下|下面)[^。；;\n]{0,40}(?:的是|的有|的一项是|的一组是|为)\s*(?:[(（_＿：:。?？]|$))"},
    {multiple_choice, R"((?:下列|以下|下面|上述)[^。；;\n]{0,24}(?:哪个|哪项|哪一项|哪一个|哪些|哪种|哪一种|哪一组))"},
    {multiple_choice, R"((?:从|在)?(?:下列|以下|所给|给出的)?[^。\n]{0,10}选项中[^。\n]{0,12}(?:选|正确|符合)|(?:选出|选择)(?:一个|一项|所有)?(?:正确|最佳|最合适|恰当|合适)(?:的)?(?:答案|选项|一项))"},
    // True or false.
    {true_false, R"((?i)^[\s*_#(\[\d.)]*(?:true\s*(?:or|/|-)\s*false|t\s*/\s*f|yes or no|right or wrong)\b\s*[\])*_]*\s*(?:[:?.,\-–—(]|\n|is\b|if\b|the\b|every\b|there\b|a\b|an\b|for\b|\$))"},
    {true_false, R"((?i)[\n.?)(\[]\s*(?:true or false|true/false|yes or no|right or wrong)\s*\??\s*[)\].]?\s*$)"},
    {true_false, R"((?i)[,;—–-]\s*(?:true or false|yes or no|right or wrong)\s*\?)"},
    {true_false, "(?i)" CLAUSE R"((?:state|determine|decide|indicate|say|judge|tell|assess|evaluate|specify|identify|verify|check|find out|write)\b[^.?\n]{0,40}?\b(?:whether|if)\b[^.?\n]{0,160}?\b(?:true|false|correct|incorrect|valid|right or wrong|holds true)\b(?! (?:for|value|to|answer|number|weight|order|change)))"},
    {true_false, "(?i)" CLAUSE R"((?:is it (?:always |necessarily |ever )?(?:true|the case|correct) that\b))"},
    {true_false, "(?i)" CLAUSE R"((?:is|are) (?:the|this|these|each of the) (?:following |given |above )?)" STATEMENT R"(\b[^.?\n]{0,120}\b(?:true|false|correct|valid)\b)"},
    {true_false, R"((?i)\b(?:answer|respond|reply|write|mark|label)\s+(?:with\s+|only\s+|each\s+|it\s+|as\s+|either\s+|the statement\s+|just\s+|simply\s+)*["'“‘]?(?:true|yes|t|correct)["'”’]?\s*(?:or|/)\s*["'“‘]?(?:false|no|f|incorrect)\b(?!\s+(?:at random|by guess|randomly)))"},
    {true_false, R"((?i)\b(?:prove or disprove|true or false,? (?:and )?(?:justify|explain|why)))"},
    {true_false, R"(判断题[】\]:：。，]|判断(?:正误|对错|真假)|判断[^。？?\n]{0,60}(?:是否正确|是否成立|是否为真|的?正误|的?对错|的?真假|是真命题还是假命题|正确还是错误|对还是错)|(?:是否正确|对不对|对还是错|正确还是错误|对吗|正确吗|是真是假|是真命题吗)\s*[?？。)）]|(?:正确的?|对的?)(?:打|画|填|写)\s*[“"]?[√✓对]|[(（]\s*(?:填|回答|答)?\s*[“"]?(?:对|正确|是|√)[”"]?\s*(?:或|/|、)\s*[“"]?(?:错|错误|否|×|不正确)[”"]?\s*[)）])"},
    // Proofs.
    {proof, "(?i)" CLAUSE R"((?:(?:and|we)\s+)?(?:prove|show|demonstrate|establish|verify|deduce|argue|conclude|derive|disprove)(?:,?\s+(?:by|using|with|from|without|rigorously|directly|formally|carefully|combinatorially|geometrically|algebraically|also|further|in detail|for)\b[^.\n]{0,60}?,?)?\s*(?:\:|(?:that|why|the|this|these|it|its|there|whenever|if|Fermat|Euler|Cauchy|each of|for (?:all|every|any))\b(?!\s*(?:work|show|reasoning|calculations?|steps|result as|total|graph|movie|answer (?:in|as)))))"},
    {proof, R"((?i)\b(?:give|write|provide|construct|supply|present|find|sketch|complete)\s+(?:down\s+)?(?:a|an|the|another|your)\s+(?:(?:complete|full|formal|rigorous|short|direct|combinatorial|inductive|detailed|alternative|elementary|geometric|bijective|careful|one-line)\s+)*proofs?\b)"},
    {proof, R"((?i)\bprove\s*:|\bproof (?:is )?required\b|\bjustify (?:that|why)\b|\bQ\.E\.D\b)"},
    {proof, R"((?:^|[，,。；;：:\n！!）)、]|试|请|并|从而|由此|利用|(?<!用来)(?<!需要)(?<!可以)(?<!能够)用[^，。]{1,16})\s*(?:\(\d\)|（\d）|\d[.、])?\s*(?:求证|证明(?!材料|文件|书|人|信|了|自己|力|函|其身份)|试证|验证(?!码)|说明为什么|说明理由))"},
    {proof, R"(求证|试证明?|给出[^。\n]{0,12}证明(?!材料|文件|书))"},
});

#undef CLAUSE
#undef STATEMENT

constexpr const char* kAsksForValue =
    R"((?i)\b(?:find|determine|compute|calculate|evaluate|what (?:is|are)|how (?:many|much|long|far|often)|solve for|give its value|in how many)\b(?! a(?:nother)? (?:\w+ )?proof)(?! the proof)(?! whether)|求(?!证)|计算|等于多少|是多少|有多少|几(?:个|种|次|人))";
constexpr const char* kTruthAnswer =
    R"((?i)^\W*(?:true|false|yes|no|correct|incorrect|right|wrong|对|错|正确|错误|是|否|不正确|√|×|✓|✗|真|假|真命题|假命题)\W*$|^[√×✓✗]$)";
constexpr const char* kLetterAnswer =
    R"((?i)^\W*(?:option\s*|choice\s*|answer:?\s*)?(?:\\text(?:bf)?\{)?\W*[a-e](?:\s*,?\s*[a-e])*\W*$)";
// Options with small letters, which are parts of a problem unless the answer is such a letter.
constexpr const char* kSmallOptions = R"((?:^|\s)\(?a[).]\s[\s\S]*?\s\(?b[).]\s[\s\S]*?\s\(?c[).]\s)";

reward::Regex compiled(const char* pattern) {
  auto regex = reward::Regex::compile(pattern, false);
  LS_CHECK(regex.ok(), regex.status().to_string());
  return std::move(*regex);
}

// The styles of option marks. The mark of A must follow the end of a sentence or begin a line if
// the style does not have two parentheses: "A. Smith" and "point A: B" are not options.
struct MarkStyle {
  std::string_view before, after;
};
constexpr auto kStyles = std::to_array<MarkStyle>({{"(", ")"},
                                                   {"（", "）"},
                                                   {"[", "]"},
                                                   {"", "."},
                                                   {"", ")"},
                                                   {"", ":"},
                                                   {"", "、"},
                                                   {"", "．"},
                                                   {"", "："}});

bool ends_a_sentence(std::string_view before) {
  const size_t end = before.find_last_not_of(" \t*");
  if (end == std::string_view::npos || before[end] == '\n') return true;
  for (const std::string_view mark :
       {"?", ":", ".", ")", "_", "$", "。", "？", "：", "）", "，", "\u3000", "}"}) {
    if (before.substr(0, end + 1).ends_with(mark)) return true;
  }
  return false;
}

bool begins_a_word(std::string_view text, size_t at) {
  if (at == 0) return true;
  const char c = text[at - 1];
  return !is_alpha(c) && !is_digit(c) && c != '\'' && c != '-' && c != '\\';
}

// Position of the mark of a letter at or after `from`.
size_t find_mark(std::string_view text, char letter, const MarkStyle& style, size_t from) {
  const std::string mark = std::string(style.before) + letter + std::string(style.after);
  for (size_t at = text.find(mark, from); at != std::string_view::npos;
       at = text.find(mark, at + 1)) {
    const bool open_end = at + mark.size() >= text.size();
    const char next = open_end ? ' ' : text[at + mark.size()];
    const bool spaced = !style.before.empty() || style.after.size() > 1 || is_space(next) ||
                        next == '$' || is_digit(next) || next == '-' || next == '\\';
    if (!spaced || (style.before.empty() && !begins_a_word(text, at))) continue;
    if (letter == 'A' && style.before.empty() && !ends_a_sentence(text.substr(0, at))) continue;
    return at;
  }
  return std::string_view::npos;
}

}  // namespace

std::string_view find_options(std::string_view problem) {
  for (const MarkStyle& style : kStyles) {
    const size_t a = find_mark(problem, 'A', style, 0);
    if (a == std::string_view::npos) continue;
    const size_t b = find_mark(problem, 'B', style, a + 1);
    if (b == std::string_view::npos) continue;
    const size_t c = find_mark(problem, 'C', style, b + 1);
    if (c == std::string_view::npos) continue;
    return problem.substr(a, c + 1 + style.before.size() + style.after.size() - a);
  }
  return {};
}

FormatFinder::FormatFinder()
    : asks_for_value_(compiled(kAsksForValue)),
      truth_answer_(compiled(kTruthAnswer)),
      letter_answer_(compiled(kLetterAnswer)),
      small_options_(compiled(kSmallOptions)) {
  for (const Wording& wording : kWordings)
    rules_.push_back({wording.format, compiled(wording.pattern)});
}

Result<FoundFormat> FormatFinder::first_match(std::string_view text, ProblemFormat format) const {
  for (const Rule& rule : rules_) {
    if (rule.format != format) continue;
    LS_ASSIGN_OR_RETURN(const auto match, rule.pattern.search(text));
    if (!match) continue;
    return FoundFormat{format,
                       std::string(trim(text.substr(match->begin, match->end - match->begin)))};
  }
  return FoundFormat{};
}

Result<FoundFormat> FormatFinder::find(std::string_view problem, std::string_view answer) const {
  if (const auto options = find_options(problem); !options.empty())
    return FoundFormat{multiple_choice, std::string(options)};
  LS_ASSIGN_OR_RETURN(const auto letter, letter_answer_.search(answer));
  if (letter && !answer.empty()) {
    LS_ASSIGN_OR_RETURN(const auto options, small_options_.search(problem));
    if (options) return FoundFormat{multiple_choice, std::string(trim(answer))};
  }
  for (const ProblemFormat format : {multiple_choice, true_false}) {
    LS_ASSIGN_OR_RETURN(FoundFormat found, first_match(problem, format));
    if (found.format != open) return found;
  }
  LS_ASSIGN_OR_RETURN(const auto truth, truth_answer_.search(answer));
  if (truth && !answer.empty()) return FoundFormat{true_false, std::string(trim(answer))};
  LS_ASSIGN_OR_RETURN(FoundFormat found, first_match(problem, proof));
  if (found.format == open) return found;
  LS_ASSIGN_OR_RETURN(const auto value, asks_for_value_.search(problem));
  return value ? FoundFormat{} : found;
}

}  // namespace longshot::curate
