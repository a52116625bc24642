#include "sandbox/pool.h"

#include "sandbox/testing.h"

namespace longshot::sandbox {
namespace {

TEST(Pool, AProgramRuns) {
  NEED_POOL(pool);
  Job job = shell("read line; echo \"got $line\"; echo oops >&2; cat data/x; echo new > made; exit 3");
  job.input = "hello\n";
  job.files = {{"data/x", "file\n", false}};
  job.fetch = {"made", "missing"};
  const Outcome outcome = run(*pool, job);
  EXPECT_EQ(outcome.verdict, Verdict::runtime) << outcome.message;
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_EQ(outcome.out, "got hello\nfile\n");
  EXPECT_EQ(outcome.err, "oops\n");
  EXPECT_EQ(outcome.files, (std::vector<File>{{"made", "new\n", false}}));
}

TEST(Pool, PythonRuns) {
  NEED_POOL(pool);
  const Outcome outcome = run(*pool, python("print(input()*2)"), Lane::python);
  EXPECT_EQ(outcome.verdict, Verdict::runtime) << outcome.message;
  EXPECT_EQ(outcome.err, "");
}

}  // namespace
}  // namespace longshot::sandbox
