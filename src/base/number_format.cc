#include "base/number_format.h"

#include <fmt/core.h>

namespace longshot {

Result<NumberFormat> parse_number_format(const std::string& name) {
  if (name == "float32" || name == "f32") return NumberFormat::f32;
  if (name == "bfloat16" || name == "bf16") return NumberFormat::bf16;
  if (name == "int8") return NumberFormat::int8;
  if (name == "int4") return NumberFormat::int4;
  return invalid_argument(
      fmt::format("number format '{}' is not one of float32, bfloat16, int8, int4", name));
}

const char* number_format_name(NumberFormat format) {
  switch (format) {
    case NumberFormat::f32:
      return "f32";
    case NumberFormat::bf16:
      return "bf16";
    case NumberFormat::int8:
      return "int8";
    case NumberFormat::int4:
      return "int4";
  }
  return "?";
}

}  // namespace longshot
