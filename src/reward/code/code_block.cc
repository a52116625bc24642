#include "reward/code/code_block.h"

#include <algorithm>
#include <iterator>

#include "base/text/language_names.h"
#include "base/text/text.h"

namespace longshot::reward {
namespace {

constexpr std::string_view kBlank = " \t\r";
// Words after a fence that mark its content as something other than a program.
constexpr std::string_view kData[] = {
    "text",   "txt",      "plaintext", "plain", "output", "console", "terminal", "json",
    "stdout", "stdin",    "input",     "csv",   "yaml",   "toml",    "xml",      "html",
    "log",    "markdown", "md",        "latex", "diff",   "math",    "example",  "none",
    "result", "tex",      "makefile",  "cmake", "ini",    "mermaid", "expected"};

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    begin = end + 1;
  }
  return lines;
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlank);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

size_t run_length(std::string_view line, size_t at) {
  const size_t end = line.find_first_not_of(line[at], at);
  return std::min(end, line.size()) - at;
}

bool is_data_word(std::string_view word) {
  return std::find(std::begin(kData), std::end(kData), word) != std::end(kData);
}

struct Fence {
  char mark = '`';
  size_t length = 0;
  std::string language;
  std::string quote;  // ">" in a quotation, which then begins each line
};

// "python", "python {.line-numbers}", "{.python .numberLines}", "python:main.py", "python title=x".
std::string language_word(std::string_view info) {
  info = trimmed(info);
  if (info.starts_with('{')) info.remove_prefix(1);
  if (info.starts_with('.')) info.remove_prefix(1);
  return to_lower(info.substr(0, info.find_first_of(" \t{}:,;=([")));
}

// True for list markers and quotation signs, which may precede a fence.
bool is_margin(std::string_view before) {
  return before.find_first_not_of(" \t>-*+.)0123456789") == before.npos;
}

// A fence after other words is one only if a known word or nothing follows it.
// Example: "The code: ```python".
std::optional<Fence> opening(std::string_view line) {
  for (const char mark : {'`', '~'}) {
    const size_t at = line.find(std::string(3, mark));
    if (at == line.npos) continue;
    Fence fence{mark, run_length(line, at), "", ""};
    const std::string_view info = line.substr(at + fence.length);
    if (info.find(mark) != info.npos) continue;
    fence.language = language_word(info);
    const std::string_view before = line.substr(0, at);
    const bool margin = is_margin(before);
    if (!margin && !trimmed(info).empty() && language_of_name(trimmed(info)).empty()) continue;
    if (!margin && mark == '~') continue;
    if (margin && before.find('>') != before.npos) fence.quote = ">";
    return fence;
  }
  return std::nullopt;
}

// "```python print(1)```"
std::optional<CodeBlock> one_line(std::string_view line) {
  const size_t open = line.find("```");
  if (open == line.npos) return std::nullopt;
  const size_t begin = open + run_length(line, open), close = line.find("```", begin);
  if (close == line.npos) return std::nullopt;
  const std::string_view inside = line.substr(begin, close - begin);
  const size_t space = std::min(inside.find_first_of(" \t"), inside.size());
  const std::string language = language_word(inside.substr(0, space));
  if (language_of_name(language).empty() || trimmed(inside.substr(space)).empty())
    return std::nullopt;
  return CodeBlock{language, std::string(trimmed(inside.substr(space))) + "\n"};
}

bool closes(std::string_view line, const Fence& fence) {
  const std::string_view bare = trimmed(line);
  return bare.size() >= fence.length && bare.find_first_not_of(fence.mark) == bare.npos;
}

// True for a line that closes the block and continues with text outside it. No program begins with
// such a line. Examples:
// "```</answer>", "``` This prints 2", "```output".
bool closes_before_text(std::string_view line, const Fence& fence) {
  const std::string_view bare = trimmed(line);
  if (!bare.starts_with(std::string(fence.length, fence.mark))) return false;
  const std::string_view rest = trimmed(bare.substr(run_length(bare, 0)));
  const std::string word = language_word(rest);
  if (rest.starts_with('<') || is_data_word(word)) return true;
  return rest.find(' ') != rest.npos && rest.find_first_of("{=") == rest.npos &&
         language_of_name(word).empty();
}

bool ends_in_fence(std::string_view line, const Fence& fence) {
  const std::string_view bare = trimmed(line);
  return bare.ends_with(std::string(fence.length, fence.mark));
}

std::string_view unquoted(std::string_view line, const Fence& fence) {
  if (fence.quote.empty()) return line;
  const std::string_view bare = line.substr(std::min(line.find_first_not_of(" \t"), line.size()));
  if (!bare.starts_with('>')) return line;
  return bare.substr(bare.starts_with("> ") ? 2 : 1);
}

size_t common_indentation(const std::vector<std::string_view>& lines) {
  std::optional<std::string_view> common;
  for (const std::string_view line : lines) {
    const size_t first = line.find_first_not_of(" \t");
    if (first == line.npos) continue;
    if (!common) common = line.substr(0, first);
    const auto mismatch = std::mismatch(common->begin(), common->end(), line.begin(), line.end());
    common = common->substr(0, static_cast<size_t>(mismatch.first - common->begin()));
  }
  return common ? common->size() : 0;
}

CodeBlock block_of(const Fence& fence, const std::vector<std::string_view>& lines) {
  const size_t indentation = common_indentation(lines);
  CodeBlock block{fence.language, ""};
  for (const std::string_view line : lines)
    block.code.append(line.substr(std::min(indentation, line.size()))).push_back('\n');
  return block;
}

// The end of a block: its closing fence, or the line before a fence that opens another program,
// which means that the block was cut off.
struct End {
  size_t line = 0;
  bool closed = false;
};

bool opens_program(std::string_view line, const Fence& fence) {
  const auto other = opening(line);
  return other && other->mark == fence.mark && other->length >= fence.length &&
         !language_of_name(other->language).empty() &&
         is_margin(line.substr(0, line.find(fence.mark)));
}

// Stores the lines of the block in `code`.
End find_end(const std::vector<std::string_view>& lines, size_t open, const Fence& fence,
             std::vector<std::string_view>& code) {
  std::optional<size_t> at_an_end;
  size_t i = open + 1;
  for (; i < lines.size(); ++i) {
    const std::string_view line = unquoted(lines[i], fence);
    if (closes(line, fence) || closes_before_text(line, fence)) return {i, true};
    if (opens_program(line, fence)) break;
    if (!at_an_end && ends_in_fence(line, fence)) at_an_end = i;
    code.push_back(line);
  }
  if (!at_an_end) return {i, false};
  code.resize(*at_an_end - open);
  code.back() = code.back().substr(0, code.back().rfind(std::string(fence.length, fence.mark)));
  return {*at_an_end, true};
}

bool is_blank(const std::vector<std::string_view>& lines) {
  return std::all_of(lines.begin(), lines.end(),
                     [](std::string_view line) { return trimmed(line).empty(); });
}

struct Blocks {
  std::vector<CodeBlock> complete;
  bool cut = false;  // the last block is a program and incomplete
};

Blocks read_blocks(std::string_view text) {
  const std::vector<std::string_view> lines = lines_of(text);
  Blocks blocks;
  for (size_t i = 0; i < lines.size(); ++i) {
    const auto fence = opening(lines[i]);
    if (!fence) {
      if (auto block = one_line(lines[i])) blocks.complete.push_back(std::move(*block));
      continue;
    }
    std::vector<std::string_view> code;
    const End end = find_end(lines, i, *fence, code);
    if (!end.closed) {
      blocks.cut =
          end.line == lines.size() && !language_of_name(fence->language).empty() && !is_blank(code);
      i = end.line - 1;
      continue;
    }
    CodeBlock block = block_of(*fence, code);
    if (block.language == "markdown" || block.language == "md") {
      for (CodeBlock& inner : code_blocks(block.code)) blocks.complete.push_back(std::move(inner));
    } else {
      blocks.complete.push_back(std::move(block));
    }
    i = end.line;
  }
  return blocks;
}

}  // namespace

std::vector<CodeBlock> code_blocks(std::string_view text) {
  return read_blocks(text).complete;
}

std::optional<CodeBlock> program_of(std::string_view response, std::string_view preferred) {
  response = after_thinking(response);
  if (const auto tagged = last_tag(response, "answer"); tagged && !code_blocks(*tagged).empty())
    response = *tagged;
  Blocks blocks = read_blocks(response);
  if (blocks.cut) return std::nullopt;
  std::optional<CodeBlock> wanted, named, unnamed, shell;
  bool shell_first = false;
  for (CodeBlock& block : blocks.complete) {
    const std::string language = language_of_name(block.language);
    if (!preferred.empty() && language == preferred) wanted = block;
    if (language == "bash") {
      shell_first |= !unnamed;
      shell = std::move(block);
    } else if (!language.empty()) {
      named = std::move(block);
    } else if (!is_data_word(block.language)) {
      unnamed = std::move(block);
    }
  }
  if (wanted) return wanted;
  if (named && (preferred.empty() || !unnamed)) return named;
  return shell && (shell_first || !unnamed) ? shell : unnamed;
}

}  // namespace longshot::reward
