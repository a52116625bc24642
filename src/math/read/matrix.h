#pragma once
// Matrices and their arithmetic.

#include <string_view>

#include "math/read/answer.h"

namespace longshot::math {

// Reads a matrix environment (pmatrix, bmatrix, Bmatrix, matrix, smallmatrix, array), possibly in
// brackets, or a sum or product of matrices and numbers. vmatrix is a determinant and is not read.
// Returns false for any other text and for a matrix of more than 100 entries.
bool read_matrix(std::string_view text, Answer& out);

}  // namespace longshot::math
