#pragma once
// Matrices and their arithmetic.

#include <string_view>

#include "math/read/answer.h"

namespace longshot::math {

// Reads a matrix environment (pmatrix, bmatrix, Bmatrix, matrix, smallmatrix, array), alone, in one pair of brackets, or
// in a sum or product with others and with numbers. vmatrix is a determinant and not read. False when the text is
// nothing of the kind; at most 100 entries.
bool read_matrix(std::string_view text, Answer& out);

}  // namespace longshot::math
