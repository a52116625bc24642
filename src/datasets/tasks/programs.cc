#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <numeric>

#include "datasets/tasks/tasks.h"

namespace longshot::datasets {
namespace {

using List = std::vector<int64_t>;

int64_t modulo2(int64_t x) {
  return ((x % 2) + 2) % 2;
}

// An operation on the list. `{}` in a text stands for the number of the operation, if it has one.
struct Operation {
  const char* word;
  const char* code;  // a line of Python
  const char* english;
  int64_t min, max;  // range of the number; both 0: none
  void (*apply)(List& a, int64_t k);
};

constexpr Operation kOperations[] = {
    {"+{}", "a=[x+{} for x in a]", "add {} to each number", 1, 9,
     [](List& a, int64_t k) {
       for (auto& x : a) x += k;
     }},
    {"-{}", "a=[x-{} for x in a]", "subtract {} from each number", 1, 9,
     [](List& a, int64_t k) {
       for (auto& x : a) x -= k;
     }},
    {"*{}", "a=[x*{} for x in a]", "multiply each number by {}", 2, 9,
     [](List& a, int64_t k) {
       for (auto& x : a) x *= k;
     }},
    {">{}", "a=[x for x in a if x>{}]", "keep the numbers greater than {}", 0, 9,
     [](List& a, int64_t k) { std::erase_if(a, [k](int64_t x) { return x <= k; }); }},
    {"<{}", "a=[x for x in a if x<{}]", "keep the numbers less than {}", 0, 9,
     [](List& a, int64_t k) { std::erase_if(a, [k](int64_t x) { return x >= k; }); }},
    {"even", "a=[x for x in a if x%2==0]", "keep the even numbers", 0, 0,
     [](List& a, int64_t) { std::erase_if(a, [](int64_t x) { return modulo2(x) == 1; }); }},
    {"odd", "a=[x for x in a if x%2==1]", "keep the odd numbers", 0, 0,
     [](List& a, int64_t) { std::erase_if(a, [](int64_t x) { return modulo2(x) == 0; }); }},
    {"neg", "a=[-x for x in a]", "negate each number", 0, 0,
     [](List& a, int64_t) {
       for (auto& x : a) x = -x;
     }},
    {"abs", "a=[abs(x) for x in a]", "replace each number by its absolute value", 0, 0,
     [](List& a, int64_t) {
       for (auto& x : a) x = std::abs(x);
     }},
    {"sort", "a=sorted(a)", "sort the numbers in ascending order", 0, 0,
     [](List& a, int64_t) { std::sort(a.begin(), a.end()); }},
    {"flip", "a=a[::-1]", "reverse the order of the numbers", 0, 0,
     [](List& a, int64_t) { std::reverse(a.begin(), a.end()); }},
    {"rest", "a=a[1:]", "drop the first number", 0, 0,
     [](List& a, int64_t) {
       if (!a.empty()) a.erase(a.begin());
     }},
    {"once", "a=list(dict.fromkeys(a))", "keep only the first of equal numbers", 0, 0,
     [](List& a, int64_t) {
       List seen;
       for (const int64_t x : a)
         if (std::find(seen.begin(), seen.end(), x) == seen.end()) seen.push_back(x);
       a = std::move(seen);
     }},
};

// The output of a program.
struct Ending {
  const char* word;
  const char* code;
  const char* english;
  std::string (*print)(const List& a);
};

constexpr Ending kEndings[] = {
    {"sum", "print(sum(a))", "print their sum",
     [](const List& a) { return std::to_string(std::accumulate(a.begin(), a.end(), int64_t{0})); }},
    {"len", "print(len(a))", "print how many numbers are left",
     [](const List& a) { return std::to_string(a.size()); }},
    {"max", "print(max(a,default=0))", "print the largest number, or 0 if none is left",
     [](const List& a) {
       return std::to_string(a.empty() ? 0 : *std::max_element(a.begin(), a.end()));
     }},
    {"min", "print(min(a,default=0))", "print the smallest number, or 0 if none is left",
     [](const List& a) {
       return std::to_string(a.empty() ? 0 : *std::min_element(a.begin(), a.end()));
     }},
    {"list", "print(*a)", "print the numbers, separated by spaces",
     [](const List& a) { return fmt::format("{}", fmt::join(a, " ")); }},
};

struct ListProgram {
  std::vector<std::pair<const Operation*, int64_t>> steps;
  const Ending* ending = nullptr;

  std::string run(List a) const {
    for (const auto& [operation, number] : steps) operation->apply(a, number);
    return ending->print(a);
  }
};

ListProgram draw_program(int steps, CounterRng& rng) {
  ListProgram program;
  for (int i = 0; i < steps; ++i) {
    const Operation& operation = kOperations[rng.next_below(std::size(kOperations))];
    program.steps.emplace_back(&operation, rng.next_int(operation.min, operation.max));
  }
  program.ending = &kEndings[rng.next_below(std::size(kEndings))];
  return program;
}

List draw_list(int64_t shortest, int64_t low, int64_t high, CounterRng& rng) {
  List list(static_cast<size_t>(rng.next_int(shortest, 8)));
  for (auto& x : list) x = rng.next_int(low, high);
  return list;
}

// In all inputs but the last, most numbers are different.
std::vector<List> draw_inputs(CounterRng& rng) {
  constexpr int kWide = 5;
  std::vector<List> inputs;
  for (int i = 0; i < kWide; ++i) inputs.push_back(draw_list(3, -20, 20, rng));
  inputs.push_back(draw_list(6, -2, 3, rng));
  return inputs;
}

std::string fill(const char* text, int64_t number) {
  return fmt::format(fmt::runtime(text), number);
}

}  // namespace

// "even,*3,sum:" -> a fenced program that reads numbers, keeps the even ones, triples them and
// prints their sum.
Problem make_program(int steps, CounterRng& rng) {
  const ListProgram drawn = draw_program(steps, rng);
  std::string program = "a=[int(x) for x in input().split()]\n", english;
  Problem problem;
  for (const auto& [operation, number] : drawn.steps) {
    problem.chars.prompt += fill(operation->word, number) + ",";
    program += fill(operation->code, number) + "\n";
    english += fill(operation->english, number) + "; ";
  }
  problem.key = problem.chars.prompt + drawn.ending->word;
  problem.chars.prompt = problem.key + ":";
  problem.chars.completion = fmt::format("```python\n{}{}\n```", program, drawn.ending->code);
  problem.text.prompt = fmt::format(
      "Write a Python program that reads one line of integers separated by spaces and does the "
      "following in this order: {}{}. Answer with one Python code block.",
      english, drawn.ending->english);
  problem.text.completion = problem.chars.completion;
  problem.ground_truth = {{"inputs", Json::array()}, {"outputs", Json::array()}};
  for (const List& input : draw_inputs(rng)) {
    problem.ground_truth["inputs"].push_back(fmt::format("{}\n", fmt::join(input, " ")));
    problem.ground_truth["outputs"].push_back(drawn.run(input));
  }
  return problem;
}

}  // namespace longshot::datasets
