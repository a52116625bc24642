#include "curate/tests/request.h"

#include <fmt/format.h>

#include "base/text/language_names.h"
#include "reward/code/code_block.h"

namespace longshot::curate {
namespace {

// Facts about CYaRon 0.7.0 (https://github.com/luogu-dev/cyaron), each checked in request_test.cc.
constexpr const char* kRequest =
    R"(Write a Python program that makes random inputs for the problem below, with the library CYaRon.

How the program is run:
- Once for each of {cases} cases, as `python3 generator.py CASE` with CASE from 1 to {cases}.
- It prints one whole input to standard output, exactly in the format that the problem describes, and nothing else.
- Python's `random`, which CYaRon draws from, has been seeded for that case. Do not seed it, and use no clock and no other source of random numbers.
- It has {seconds:g} seconds and no network. An input may have {kb} KB.

What good cases are: each keeps every limit of the problem, and no two are equal. The first few are the smallest inputs and the corner cases, then come random ones of growing size, then special structures, then the largest.

CYaRon after `from cyaron import *`:
- `randint(low, high)`, `randrange`, `uniform`, `choice`: those of `random`. For more, `import random`.
- `String.random(length, charset="abc")`; a length `(low, high)` is drawn between the two. `ALPHABET_SMALL`, `ALPHABET_CAPITAL`, `ALPHABET`, `NUMBERS` are such sets.
- `Vector.random(count, [(low, high), (low, high)], mode)`: a list of count lists of one number for each range. Mode 0: all different, 1: repeats allowed, 2: floats.
- `Sequence(lambda i, f: f(i - 1) + i, [1]).get(1, n)`: the values at 1 to n, from a formula and the first values.
- `Graph.tree(n)`, `Graph.tree(n, 0.4, 0.3)` (40 % a chain, 30 % a star), `Graph.binary_tree(n)`, `Graph.chain(n)`, `Graph.flower(n)`: trees of the nodes 1 to n. `Graph.graph(n, m, self_loop=False, repeated_edges=False, directed=False)`, `Graph.DAG(n, m)`, `Graph.UDAG(n, m)`: graphs of n nodes and m edges; a DAG is connected. All take `weight_limit=(low, high)`.
- `graph.to_str(shuffle=True)` has a line `u v w` for each edge; `graph.to_str(output=Edge.unweighted_edge)` a line `u v`.

An example, for "the first line holds n (1 <= n <= 1000), the second n integers from 1 to 10^9":

```python
import sys
from cyaron import *

case = int(sys.argv[1])
if case <= 3:
    n = case
elif case > {large}:
    n = 1000
else:
    n = randint(2, min(1000, 25 * case))
high = 5 if case % 4 == 0 else 10**9
print(n)
print(*[v[0] for v in Vector.random(n, [(1, high)], 1)])
```

The problem:

{statement}

Answer with the whole program in one ```python block.)";

}  // namespace

std::vector<data::Message> generator_request(const std::string& statement,
                                             const GeneratorRules& rules) {
  using fmt::arg;
  return {{"user", fmt::format(fmt::runtime(kRequest), arg("cases", rules.cases),
                               arg("seconds", rules.seconds), arg("kb", rules.max_kb),
                               arg("large", rules.cases * 4 / 5), arg("statement", statement))}};
}

std::optional<std::string> python_code(const std::string& answer) {
  auto block = reward::program_of(answer, "python");
  if (!block) return std::nullopt;
  const std::string language = language_of_name(block->language);
  if (language != "python" && !block->language.empty()) return std::nullopt;
  return std::move(block->code);
}

}  // namespace longshot::curate
