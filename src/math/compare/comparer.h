#pragma once
// The recursion of equal_answers (math/compare/equal.h).

#include "math/compare/equal.h"
#include "math/read/answer.h"

namespace longshot::math {

// One comparison; counts the symbolic questions it has asked. Not thread-safe.
class Comparer {
 public:
  Comparer(const EqualOptions& options, Deadline deadline)
      : options_(options), deadline_(deadline) {}

  Result<bool> equal(const Answer& answer, const Answer& truth);
  // True if the two have the same value. Units do not occur in expressions.
  Result<bool> equal_expressions(const Expression& a, const Expression& b);
  const EqualOptions& options() const { return options_; }

 private:
  Result<bool> equal_values(const Answer& answer, const Answer& truth);
  Result<bool> equal_lists(const Answer& answer, const Answer& truth);
  Result<bool> equal_matrices(const Answer& answer, const Answer& truth);
  Result<bool> equal_equations(const Answer& answer, const Answer& truth);
  Result<bool> equal_as_sets(const Answer& answer, const Answer& truth);
  Result<bool> in_order(const std::vector<Answer>& a, const std::vector<Answer>& b);
  Result<bool> in_any_order(const std::vector<Answer>& a, const std::vector<Answer>& b);
  Result<bool> same_statement(const Answer& answer, const Answer& truth);
  Result<bool> same_link(const Answer& a, size_t i, const Answer& b, size_t j);
  // Returns 0 if a is not a constant times b, else the sign of the constant.
  Result<int> proportional(const Expression& a, const Expression& b);
  const Answer* value_of_chain(const Answer& chain) const;

  const EqualOptions options_;
  const Deadline deadline_;
  int questions_ = 0;
};

}  // namespace longshot::math
