#include "base/settings/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace longshot {
namespace {

template <typename T>
std::function<std::string(const T&)> at_least_number(T low) {
  return [low](const T& v) -> std::string {
    if (!(v >= low)) return fmt::format("must be >= {}", low);
    return std::isfinite(static_cast<double>(v)) ? "" : "must be finite";
  };
}

}  // namespace

std::function<std::string(const int&)> at_least(int low) {
  return at_least_number(low);
}

std::function<std::string(const int64_t&)> at_least(int64_t low) {
  return at_least_number(low);
}

std::function<std::string(const double&)> at_least(double low) {
  return at_least_number(low);
}

std::function<std::string(const double&)> above(double low) {
  return [low](const double& v) -> std::string {
    if (!(v > low)) return fmt::format("must be > {}", low);
    return std::isfinite(v) ? "" : "must be finite";
  };
}

std::function<std::string(const double&)> within(double low, double high) {
  return [=](const double& v) {
    return v >= low && v <= high ? "" : fmt::format("must be in [{}, {}]", low, high);
  };
}

std::function<std::string(const double&)> within_but_not_at(double low, double high) {
  return [=](const double& v) {
    return v >= low && v < high ? "" : fmt::format("must be in [{}, {})", low, high);
  };
}

std::function<std::string(const std::vector<std::string>&)> no_empty_string(std::string problem) {
  return [problem = std::move(problem)](const std::vector<std::string>& list) {
    return std::ranges::find(list, "") == list.end() ? std::string() : problem;
  };
}

}  // namespace longshot
