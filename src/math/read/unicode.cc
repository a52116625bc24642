#include "math/read/unicode.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "base/text/text.h"

namespace longshot::math {
namespace {

struct Character {
  uint32_t code = 0;  // 0: not valid UTF-8
  size_t bytes = 1;
};

Character character_at(std::string_view text, size_t i) {
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned first = byte(i);
  if (first < 0x80) return {first, 1};
  const size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 1;
  if (bytes == 1 || i + bytes > text.size()) return {};
  uint32_t code = first & (0x7fu >> bytes);
  for (size_t k = 1; k < bytes; ++k) {
    if ((byte(i + k) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i + k) & 0x3f);
  }
  return {code, bytes};
}

struct Sign {
  uint32_t code;
  std::string_view latex;
};

// In the order of the codes.
constexpr Sign kSigns[] = {
    {0xa0, " "},
    {0xa2, " cents "},
    {0xa3, ""},
    {0xa5, ""},
    {0xad, ""},
    {0xb0, "^{\\circ}"},
    {0xb1, "\\pm "},
    {0xb5, "\\mu "},
    {0xb7, "*"},
    {0xba, "^{\\circ}"},
    {0xbc, "\\frac{1}{4}"},
    {0xbd, "\\frac{1}{2}"},
    {0xbe, "\\frac{3}{4}"},
    {0xc5, "\\AA "},
    {0xd7, "*"},
    {0xf7, "/"},
    {0x2bc, "'"},
    {0x2da, "^{\\circ}"},
    {0x393, "\\Gamma "},
    {0x394, "\\Delta "},
    {0x398, "\\Theta "},
    {0x39b, "\\Lambda "},
    {0x3a0, "\\Pi "},
    {0x3a3, "\\Sigma "},
    {0x3a6, "\\Phi "},
    {0x3a8, "\\Psi "},
    {0x3a9, "\\Omega "},
    {0x3b1, "\\alpha "},
    {0x3b2, "\\beta "},
    {0x3b3, "\\gamma "},
    {0x3b4, "\\delta "},
    {0x3b5, "\\epsilon "},
    {0x3b6, "\\zeta "},
    {0x3b7, "\\eta "},
    {0x3b8, "\\theta "},
    {0x3ba, "\\kappa "},
    {0x3bb, "\\lambda "},
    {0x3bc, "\\mu "},
    {0x3bd, "\\nu "},
    {0x3be, "\\xi "},
    {0x3c0, "\\pi "},
    {0x3c1, "\\rho "},
    {0x3c3, "\\sigma "},
    {0x3c4, "\\tau "},
    {0x3c6, "\\phi "},
    {0x3c7, "\\chi "},
    {0x3c8, "\\psi "},
    {0x3c9, "\\omega "},
    {0x3d5, "\\phi "},
    {0x2002, " "},
    {0x2003, " "},
    {0x2004, " "},
    {0x2005, " "},
    {0x2007, " "},
    {0x2008, " "},
    {0x2009, ""},
    {0x200a, ""},
    {0x200b, ""},
    {0x200c, ""},
    {0x200d, ""},
    {0x2010, "-"},
    {0x2011, "-"},
    {0x2012, "-"},
    {0x2013, "-"},
    {0x2014, "-"},
    {0x2018, "'"},
    {0x2019, "'"},
    {0x201c, "\""},
    {0x201d, "\""},
    {0x2022, "*"},
    {0x2026, "\\dots "},
    {0x202f, ""},
    {0x2032, "'"},
    {0x2044, "/"},
    {0x2060, ""},
    {0x2061, ""},
    {0x2062, ""},
    {0x20a4, ""},
    {0x20a6, ""},
    {0x20a9, ""},
    {0x20ac, ""},
    {0x20b9, ""},
    {0x20bd, ""},
    {0x2102, "\\mathbb{C}"},
    {0x2103, "^{\\circ}C"},
    {0x2109, "^{\\circ}F"},
    {0x2113, "\\ell "},
    {0x2115, "\\mathbb{N}"},
    {0x211a, "\\mathbb{Q}"},
    {0x211d, "\\mathbb{R}"},
    {0x2124, "\\mathbb{Z}"},
    {0x2126, "\\Omega "},
    {0x212b, "\\AA "},
    {0x2150, "\\frac{1}{7}"},
    {0x2151, "\\frac{1}{9}"},
    {0x2152, "\\frac{1}{10}"},
    {0x2153, "\\frac{1}{3}"},
    {0x2154, "\\frac{2}{3}"},
    {0x2155, "\\frac{1}{5}"},
    {0x2156, "\\frac{2}{5}"},
    {0x2157, "\\frac{3}{5}"},
    {0x2158, "\\frac{4}{5}"},
    {0x2159, "\\frac{1}{6}"},
    {0x215a, "\\frac{5}{6}"},
    {0x215b, "\\frac{1}{8}"},
    {0x215c, "\\frac{3}{8}"},
    {0x215d, "\\frac{5}{8}"},
    {0x215e, "\\frac{7}{8}"},
    {0x215f, "1/"},
    {0x2189, "\\frac{0}{3}"},
    {0x2205, "\\varnothing "},
    {0x2208, "\\in "},
    {0x2212, "-"},
    {0x2213, "\\mp "},
    {0x2215, "/"},
    {0x2216, "\\setminus "},
    {0x2217, "*"},
    {0x2219, "*"},
    {0x221e, "\\infty "},
    {0x2223, "|"},
    {0x2229, "\\cap "},
    {0x222a, "\\cup "},
    {0x2236, ":"},
    {0x223c, "\\sim "},
    {0x2243, "\\approx "},
    {0x2245, "\\approx "},
    {0x2248, "\\approx "},
    {0x2260, "\\ne "},
    {0x2264, "\\le "},
    {0x2265, "\\ge "},
    {0x22c5, "*"},
    {0x2308, "\\lceil "},
    {0x2309, "\\rceil "},
    {0x230a, "\\lfloor "},
    {0x230b, "\\rfloor "},
    {0x2329, "\\langle "},
    {0x232a, "\\rangle "},
    {0x2500, "-"},
    {0x25a0, ""},
    {0x25a1, ""},
    {0x2705, ""},
    {0x2713, ""},
    {0x2714, ""},
    {0x27e8, "\\langle "},
    {0x27e9, "\\rangle "},
    {0x2a7d, "\\le "},
    {0x2a7e, "\\ge "},
    {0x3001, ","},
    {0x3002, "."},
    {0x3008, "\\langle "},
    {0x3009, "\\rangle "},
    {0xfe0f, ""},
    {0xfeff, ""},
};

const Sign* find_sign(uint32_t code) {
  const auto at = std::lower_bound(std::begin(kSigns), std::end(kSigns), code,
                                   [](const Sign& sign, uint32_t c) { return sign.code < c; });
  return at != std::end(kSigns) && at->code == code ? at : nullptr;
}

// The ASCII character that a superscript or subscript sign stands for; 0 for any other sign.
char superscript(uint32_t code) {
  if (code == 0xb9) return '1';
  if (code == 0xb2 || code == 0xb3) return static_cast<char>('2' + (code - 0xb2));
  if (code == 0x2b3) return 'r';
  if (code == 0x2e3) return 'x';
  if (code == 0x2070) return '0';
  if (code == 0x2071) return 'i';
  if (code < 0x2074 || code > 0x207f) return '\0';
  return std::string_view("456789+-=()n")[code - 0x2074];
}
char subscript(uint32_t code) {
  if (code >= 0x2080 && code <= 0x2089) return static_cast<char>('0' + (code - 0x2080));
  if (code >= 0x208a && code <= 0x208e) return std::string_view("+-=()")[code - 0x208a];
  if (code == 0x2090) return 'a';
  if (code == 0x2093) return 'x';
  if (code == 0x2099) return 'n';
  if (code == 0x1d62) return 'i';
  return code == 0x2096 ? 'k' : '\0';
}

class Converter {
 public:
  explicit Converter(std::string_view text) : text_(text) { out_.reserve(text.size()); }

  std::string run() {
    while (at_ < text_.size()) step();
    return std::move(out_);
  }

 private:
  void step() {
    if (static_cast<unsigned char>(text_[at_]) < 0x80) {
      out_ += text_[at_++];
      return;
    }
    const auto [code, bytes] = character_at(text_, at_);
    if (superscript(code) != 0) return raised();
    if (subscript(code) != 0) return lowered();
    if (code >= 0x221a && code <= 0x221c) return root(code, bytes);
    const Sign* sign = find_sign(code);
    if (sign != nullptr) {
      out_ += sign->latex;
    } else {
      out_.append(text_, at_, bytes);
    }
    at_ += bytes;
  }

  template <typename Map>
  std::string run_of(const Map& map) {
    std::string out;
    while (at_ < text_.size()) {
      const auto [code, bytes] = character_at(text_, at_);
      const char c = map(code);
      if (c == 0) break;
      out += c;
      at_ += bytes;
    }
    return out;
  }

  // x\u00b9\u2070, or the numerator of \u00b9\u2044\u2083.
  void raised() {
    const std::string top = run_of(superscript);
    const auto [slash, bytes] = at_ < text_.size() ? character_at(text_, at_) : Character{};
    const bool lower =
        at_ + bytes < text_.size() && subscript(character_at(text_, at_ + bytes).code) != 0;
    if ((slash == 0x2044 || slash == 0x2215 || slash == '/') && lower) {
      at_ += bytes;
      out_.append("\\frac{").append(top).append("}{").append(run_of(subscript)).append("}");
    } else {
      out_.append("^{").append(top).append("}");
    }
  }

  void lowered() { out_.append("_{").append(run_of(subscript)).append("}"); }

  // All digits after a root sign are under it, unlike those after \sqrt.
  void root(uint32_t code, size_t bytes) {
    at_ += bytes;
    out_ += code == 0x221a ? "\\sqrt" : code == 0x221b ? "\\sqrt[3]" : "\\sqrt[4]";
    const size_t start = at_;
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
    const bool point =
        at_ > start && at_ + 1 < text_.size() && text_[at_] == '.' && is_digit(text_[at_ + 1]);
    if (point) ++at_;
    while (point && at_ < text_.size() && is_digit(text_[at_])) ++at_;
    if (at_ > start) out_.append("{").append(text_, start, at_ - start).append("}");
  }

  std::string_view text_;
  size_t at_ = 0;
  std::string out_;
};

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

std::string half_width(std::string_view text) {
  if (text.find('\xef') == std::string_view::npos && text.find('\xe3') == std::string_view::npos)
    return std::string(text);
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const auto [code, bytes] = character_at(text, i);
    if (code >= 0xff01 && code <= 0xff5e) {
      out += static_cast<char>(code - 0xfee0);
    } else if (code == 0x3000) {
      out += ' ';
    } else {
      out.append(text, i, bytes);
    }
    i += bytes;
  }
  return out;
}

std::string signs_to_latex(std::string_view text) {
  if (is_ascii(text)) return std::string(text);
  const std::string ascii = half_width(text);
  return Converter(ascii).run();
}

}  // namespace longshot::math
