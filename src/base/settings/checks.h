#pragma once
// Checks of numbers for Settings::add(): the range of a key. No key accepts an infinite number or
// NaN; 0 switches a limit off.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace longshot {

std::function<std::string(const int&)> at_least(int low);
std::function<std::string(const int64_t&)> at_least(int64_t low);
std::function<std::string(const double&)> at_least(double low);
std::function<std::string(const double&)> above(double low);
std::function<std::string(const double&)> within(double low, double high);
std::function<std::string(const double&)> within_but_not_at(double low, double high);  // not high

// Refuses a list with an empty string. `problem` says why.
std::function<std::string(const std::vector<std::string>&)> no_empty_string(std::string problem);

}  // namespace longshot
