#include "model/torch/exceptions.h"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

namespace longshot::model {
namespace {

TEST(Caught, AnExceptionNamesTheWorkAndAnErrorStaysAsItIs) {
  const auto run = [](bool throws) {
    return caught("a step", [&]() -> Result<int> {
      if (throws) throw std::runtime_error("no gradient");
      return invalid_argument("optim.lr");
    });
  };
  EXPECT_EQ(run(true).status().code(), StatusCode::internal);
  EXPECT_EQ(run(true).status().message(), "a step: no gradient");
  EXPECT_EQ(run(false).status().code(), StatusCode::invalid_argument);
  EXPECT_EQ(run(false).status().message(), "optim.lr");
  EXPECT_EQ(*caught("a step", []() -> Result<int> { return 3; }), 3);
}

TEST(Caught, ALackOfMemoryComesWithAdvice) {
  const Status status = caught([]() -> Status { throw std::bad_alloc(); });
  EXPECT_NE(status.message().find("longshot doctor"), std::string::npos);
}

}  // namespace
}  // namespace longshot::model
