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

// Returns the complete fenced blocks, in order. A fence is three or more ` or ~. It is at the
// beginning of a line, possibly indented or in a list or a quotation; a fence of ` may also follow
// other words of its line. It is closed by a line that begins with at least as many of the same
// character and does not open another block; if there is no such line, by the first line that ends
// in them. A block that is never closed was cut off and is left out.
std::vector<CodeBlock> code_blocks(std::string_view text);

// Returns the block of the answer that holds the program. The answer is the text after the thoughts
// (after_thinking in base/text/text.h), or the last <answer> in it if that contains a block.
// Returns nullopt if the last block names a programming language and was cut off, because the
// blocks before it were not meant to be final. Otherwise returns the first of these that exists:
//   1. if `preferred` (a result of language_of_name) is given, the last block in that language;
//   2. the last block whose word names a programming language other than the shell; if `preferred`
//      is given, only if there is no block without a known word;
//   3. the last block of shell commands, unless a block without a known word precedes all of them;
//   4. the last block without a known word.
// Blocks marked as text, output or data are never the program.
std::optional<CodeBlock> program_of(std::string_view response, std::string_view preferred = "");

}  // namespace longshot::reward
