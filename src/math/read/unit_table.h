#pragma once
// The units of measurement that the grader knows, with their sizes: SI brochure, 9th edition, and
// NIST Handbook 44 for the customary ones.

#include <array>
#include <cstdint>
#include <string_view>

namespace longshot::math {

// Exponents of length, mass, time, current, temperature, amount, light, angle and dollar. `own`
// numbers the dimensions that are none of these, such as that of months and years.
struct Dimensions {
  std::array<int8_t, 9> powers{};
  int8_t own = 0;

  bool operator==(const Dimensions&) const = default;
};

struct UnitEntry {
  std::string_view names;       // the first is the canonical name; separated by spaces
  int64_t top = 1, bottom = 1;  // size in SI base units
  Dimensions dimensions;
  bool prefixed = false;  // its names take k, m, \mu or kilo, milli, micro and the like
  bool neutral = false;   // too ambiguous to contradict another unit
};

constexpr Dimensions dims(int l, int m, int t, int i = 0, int k = 0, int n = 0, int c = 0) {
  Dimensions out;
  const std::array<int, 7> all = {l, m, t, i, k, n, c};
  for (size_t j = 0; j < all.size(); ++j) out.powers[j] = static_cast<int8_t>(all[j]);
  return out;
}
constexpr Dimensions kAngle{{0, 0, 0, 0, 0, 0, 0, 1, 0}, 0};
constexpr Dimensions kMoney{{0, 0, 0, 0, 0, 0, 0, 0, 1}, 0};
constexpr Dimensions own(int number) {
  return {{}, static_cast<int8_t>(number)};
}

inline constexpr UnitEntry kUnitTable[] = {
    {"m meter meters metre metres", 1, 1, dims(1, 0, 0), true},
    {"in inch inches", 254, 10000, dims(1, 0, 0)},
    {"ft foot feet", 3048, 10000, dims(1, 0, 0)},
    {"yd yard yards", 9144, 10000, dims(1, 0, 0)},
    {"mi mile miles", 1609344, 1000, dims(1, 0, 0)},
    {"\\AA angstrom angstroms", 1, 10000000000, dims(1, 0, 0)},
    {"ha hectare hectares", 10000, 1, dims(2, 0, 0)},
    {"acre acres", 40468564224, 10000000, dims(2, 0, 0)},
    {"g gram grams gm", 1, 1000, dims(0, 1, 0), true},
    {"t tonne tonnes", 1000, 1, dims(0, 1, 0)},
    {"lb lbs pound pounds", 45359237, 100000000, dims(0, 1, 0)},
    {"oz ounce ounces", 45359237, 1600000000, dims(0, 1, 0)},
    {"L l liter liters litre litres", 1, 1000, dims(3, 0, 0), true},
    {"gal gallon gallons", 3785411784, 1000000000000, dims(3, 0, 0)},
    {"cc", 1, 1000000, dims(3, 0, 0)},
    {"s sec secs second seconds", 1, 1, dims(0, 0, 1), true},
    {"min mins minute minutes", 60, 1, dims(0, 0, 1)},
    {"h hr hrs hour hours", 3600, 1, dims(0, 0, 1)},
    {"day days", 86400, 1, dims(0, 0, 1)},
    {"week weeks wk wks", 604800, 1, dims(0, 0, 1)},
    {"month months mo", 1, 1, own(1)},
    {"year years yr yrs", 12, 1, own(1)},
    {"degree degrees deg", 1, 1, own(2)},
    {"radian radians rad", 1, 1, kAngle},
    {"dollar dollars usd buck bucks", 1, 1, kMoney},
    {"cent cents penny pennies", 1, 100, kMoney},
    {"euro euros eur", 1, 1, own(3)},
    {"unit units", 1, 1, {}, false, true},
    {"C", 1, 1, {}, false, true},  // coulomb or degree Celsius
    {"F", 1, 1, {}, false, true},  // farad or degree Fahrenheit
    {"celsius centigrade", 1, 1, own(4)},
    {"fahrenheit", 1, 1, own(5)},
    {"K kelvin kelvins", 1, 1, dims(0, 0, 0, 0, 1)},
    {"N newton newtons", 1, 1, dims(1, 1, -2), true},
    {"J joule joules", 1, 1, dims(2, 1, -2), true},
    {"W watt watts", 1, 1, dims(2, 1, -3), true},
    {"Wh", 3600, 1, dims(2, 1, -2), true},
    {"eV", 1, 1, own(10), true},
    {"cal calorie calories", 4184, 1000, dims(2, 1, -2), true},
    {"Pa pascal pascals", 1, 1, dims(-1, 1, -2), true},
    {"bar bars", 100000, 1, dims(-1, 1, -2)},
    {"atm atmosphere atmospheres", 101325, 1, dims(-1, 1, -2)},
    {"Hz hertz", 1, 1, dims(0, 0, -1), true},
    {"A ampere amperes amp amps", 1, 1, dims(0, 0, 0, 1), true},
    {"coulomb coulombs", 1, 1, dims(0, 0, 1, 1)},
    {"V volt volts", 1, 1, dims(2, 1, -3, -1), true},
    {"\\Omega ohm ohms", 1, 1, dims(2, 1, -3, -2), true},
    {"farad farads", 1, 1, dims(-2, -1, 4, 2)},
    {"T tesla teslas", 1, 1, dims(0, 1, -2, -1), true},
    {"Wb weber webers", 1, 1, dims(2, 1, -2, -1), true},
    {"H henry henries", 1, 1, dims(2, 1, -2, -2), true},
    {"mol mole moles", 1, 1, dims(0, 0, 0, 0, 0, 1), true},
    {"cd candela", 1, 1, dims(0, 0, 0, 0, 0, 0, 1)},
    {"mph", 1609344, 3600000, dims(1, 0, -1)},
    {"kph kmph", 1000, 3600, dims(1, 0, -1)},
    {"rpm", 1, 1, own(6)},
    {"bit bits", 1, 1, own(7)},
    {"byte bytes", 8, 1, own(7)},
    {"am", 1, 1, own(8)},
    {"pm", 1, 1, own(9)},
};

struct UnitPrefix {
  std::string_view sign, word;
  int exponent;
};
inline constexpr UnitPrefix kUnitPrefixes[] = {
    {"k", "kilo", 3},   {"M", "mega", 6},   {"G", "giga", 9},  {"T", "tera", 12},
    {"c", "centi", -2}, {"m", "milli", -3}, {"d", "deci", -1}, {"\\mu", "micro", -6},
    {"n", "nano", -9},  {"p", "pico", -12}, {"h", "hecto", 2}};

}  // namespace longshot::math
