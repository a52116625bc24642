#pragma once
// The program in a response: its fenced blocks of code, and which of them is the answer.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace longshot::reward {

struct CodeBlock {
  std::string language;  // the word after the fence, in lower case; may be empty
  std::string code;      // common indentation and carriage returns are removed
};

// The complete fenced blocks, in order. A fence is three or more ` or ~, at the beginning of a line, indented, in a
// list or a quotation, or after other words of its line; it is closed by a line that begins with as many of the same
// character and opens nothing, or, where there is none, at the end of a line. A block that is never closed was cut and is
// left out.
std::vector<CodeBlock> code_blocks(std::string_view text);

// The block of the answer that holds the program; the answer is what follows the thoughts (after_thinking in
// base/text/text.h), of that the last <answer>, if it has a block. None if the last block names a programming language and
// was cut: what came before it was not meant to stay. Otherwise
//   the last one whose word names a programming language; with `preferred` (a language_of_name), the last one of that
//   language, and others only where no block is without a known word;
//   if there is none, the last one of those without a known word, unless commands for a shell came before them;
//   a shell's commands are the program only where no other block came before or names a language;
//   blocks marked as text, output or data never are.
std::optional<CodeBlock> program_of(std::string_view response, std::string_view preferred = "");

}  // namespace longshot::reward
