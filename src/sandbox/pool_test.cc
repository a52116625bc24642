#include "sandbox/pool.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/os/clock.h"
#include "sandbox/testing.h"

namespace longshot::sandbox {
namespace {

TEST(Pool, AProgramRuns) {
  NEED_POOL(pool);
  Job job =
      shell("read line; echo \"got $line\"; echo oops >&2; cat data/x; echo new > made; exit 3");
  job.input = "hello\n";
  job.files = {{"data/x", "file\n", false}};
  job.fetch = {"made", "missing"};
  const Outcome outcome = run(*pool, job);
  EXPECT_EQ(outcome.ending, Ending::runtime) << outcome.message;
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_EQ(outcome.out, "got hello\nfile\n");
  EXPECT_EQ(outcome.err, "oops\n");
  EXPECT_EQ(outcome.files, (std::vector<File>{{"made", "new\n", false}}));
}

TEST(Pool, LargeInputsAndOutputsPassWhole) {
  NEED_POOL(pool);
  Job job = shell("cat; cat >&2 < /dev/null");
  job.limits.output_bytes = 8 << 20;
  for (int i = 0; job.input.size() < (6 << 20); ++i) job.input += std::to_string(i) + "\n";
  EXPECT_EQ(run(*pool, job).out, job.input);
}

TEST(Pool, AnInterpreterIsNamedAsInAShell) {
  NEED_JAILS(shared_pool().status());
  for (const std::string& name :
       {std::string("python3"), std::filesystem::relative("/usr/bin/python3").string()}) {
    PoolOptions options = test_options(1);
    options.python = name;
    const auto named = Pool::start(options);
    ASSERT_TRUE(named.ok()) << named.status().message();
    EXPECT_EQ(run(**named, python("print(1)"), Lane::python).out, "1\n");
  }
}

// A copy of the warm interpreter must look like an interpreter that was started for the program.
TEST(Pool, WarmAndColdPythonAreTheSame) {
  NEED_POOL(pool);
  ASSERT_TRUE(pool->has_python_lane()) << "no python3";
  const char* programs[] = {
      "import sys; print(sys.argv, sys.path[0], __name__, __file__, sys.flags.utf8_mode)",
      "print(input()); print([l for l in __import__('sys').stdin])",
      "import sys; sys.stdout.write('no newline'); sys.stderr.write('e')",
      "def f(): raise ValueError('x')\nf()",
      "import sys; sys.exit(7)",
      "import sys; sys.exit('words')",
      "raise KeyboardInterrupt",
      "x = (",
      "print({'a', 'b', 'c', 'dd'}, hash('x'))",
      "import os, sys; print(sorted(os.environ.items()), os.getcwd(), os.listdir(), os.getuid(), "
      "os.getpid())",
      "import atexit; atexit.register(lambda: print('bye'))",
      "import threading; t = threading.Thread(target=print, args=(1,)); t.start(); t.join(); "
      "print(threading.main_thread() is threading.current_thread())",
      "import multiprocessing as m\nif __name__ == '__main__':\n  with m.Pool(2) as p: "
      "print(p.map(abs, [-1, -2]))",
      "import concurrent.futures as c\nwith c.ThreadPoolExecutor(2) as e: print(list(e.map(abs, "
      "[-1])))",
      "import asyncio\nasync def f(): await asyncio.sleep(0.01); return 5\nprint(asyncio.run(f()))",
      "import subprocess; print(subprocess.run(['echo', 'hi'], capture_output=True).stdout)",
      "import pickle\nclass A: pass\nprint(pickle.loads(pickle.dumps(A())).__class__.__module__)",
      "import tempfile\nwith tempfile.NamedTemporaryFile() as f: f.write(b'x'); "
      "print(f.name.startswith('/tmp/'))",
      "print('\\u00e9\\U0001F600')",
      "import sys; sys.setrecursionlimit(100000)\ndef f(n): return 0 if n == 0 else 1 + f(n - "
      "1)\nprint(f(20000))",
      "import os; os.abort()",
      "import os; os.kill(os.getpid(), 9)",
      "import gc; print(gc.isenabled(), gc.get_threshold())",
      "class A:\n  def __del__(self): print('gone', self.n)\na = A(); a.n = 1\nb = A(); b.n = 2; "
      "b.self = b",
      "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.1), "
      "print('late'))).start()\nraise SystemExit(3)",
      "import threading, time\nthreading.Thread(target=time.sleep, args=(9,), "
      "daemon=True).start()\nprint('soon')",
      "import sys; sys.exit(-1)",
      "import sys; sys.exit(257)",
      "import sys; sys.exit(True)",
      "import sys; sys.stdout = None",
      "import sys; sys.stdout.close()",
      "import atexit, sys\natexit.register(print, 'bye', file=sys.stderr)\n"
      "sys.excepthook = lambda *a: print('hook', a[0])\nraise ValueError",
  };
  for (const char* program : programs) {
    Job warm = python(program);
    warm.input = "one\ntwo\nthree";
    Job cold = warm;
    cold.argv = {pool->python(), "main.py"};
    const Outcome a = run(*pool, warm, Lane::python), b = run(*pool, cold);
    EXPECT_EQ(ending_word(a.ending), std::string(ending_word(b.ending)))
        << program << a.err << b.err;
    EXPECT_EQ(a.exit_code, b.exit_code) << program;
    EXPECT_EQ(a.out, b.out) << program;
    EXPECT_EQ(a.err, b.err) << program;
  }
}

TEST(Pool, WarmCopiesDoNotShareRandomNumbers) {
  NEED_POOL(pool);
  ASSERT_TRUE(pool->has_python_lane()) << "no python3";
  const Job job = python("import random, os, uuid; print(random.random(), uuid.uuid4())");
  EXPECT_NE(run(*pool, job, Lane::python).out, run(*pool, job, Lane::python).out);
}

TEST(Pool, AWarmCopyHoldsNothingOfItsInputOrOfEarlierRuns) {
  NEED_POOL(pool);
  ASSERT_TRUE(pool->has_python_lane()) << "no python3";
  // It reads into a shared mapping, which it does not search.
  const std::string look =
      "import re, mmap\nword = b'YROMEM-NI-ELDEEN'[::-1]\nfound = 0\nmemory = "
      "open('/proc/self/mem', 'rb', 0)\n"
      "copy = mmap.mmap(-1, 64 << 20)\n"
      "for line in open('/proc/self/maps'):\n"
      "  begin, end, mode = re.match('(\\w+)-(\\w+) (\\S+)', line).groups()\n"
      "  if mode != 'rw-p': continue\n"
      "  memory.seek(int(begin, 16))\n"
      "  try: size = memory.readinto(memoryview(copy)[:int(end, 16) - int(begin, 16)])\n"
      "  except (OSError, ValueError): continue\n"
      "  at = copy.find(word, 0, size)\n"
      "  while at >= 0:\n    found += 1\n    at = copy.find(word, at + 1, size)\n"
      "print(found)";
  for (int i = 0; i < 4; ++i) {  // so that each slot gets some
    Job job = python("print(len(input()))");
    job.input = "NEEDLE-IN-MEMORY" + std::string(1000 * i, 'x');
    job.files.push_back({"NEEDLE-IN-MEMORY.txt", "NEEDLE-IN-MEMORY", false});
    EXPECT_EQ(run(*pool, job, Lane::python).ending, Ending::ok);
  }
  for (int i = 0; i < 4; ++i) {
    Job job = python(look);
    EXPECT_EQ(run(*pool, job, Lane::python).out, "1\n") << "the word that it looks for";
    job.input = "NEEDLE-IN-MEMORY";
    EXPECT_EQ(run(*pool, job, Lane::python).out, "1\n") << "unread, its stdin is nowhere in it";
  }
}

struct Case {
  const char* what;
  const char* script;
  Ending ending;
};

TEST(Pool, EachLimitHasItsVerdict) {
  NEED_POOL(pool);
  const Case cases[] = {
      {"processor time", "while :; do :; done", Ending::timeout},
      {"processor time of children", "for i in 1 2 3; do (while :; do :; done) & done; wait",
       Ending::timeout},
      {"wall time", "sleep 100", Ending::timeout},
      {"output", "yes", Ending::output},
      {"stderr", "yes >&2", Ending::output},
      {"a signal", "kill -SEGV $$", Ending::signaled},
      {"one file", "exec head -c 100000000 /dev/zero > x", Ending::output},
      {"exit code", "exit 1", Ending::runtime},
      {"success", ":", Ending::ok},
      {"survivors", "sleep 100 & disown; echo", Ending::ok},
  };
  for (const Case& c : cases) {
    Job job = shell(c.script);
    job.limits.cpu_seconds = 0.4;
    job.limits.wall_seconds = 1.2;
    job.limits.file_bytes = 1 << 20;
    const Outcome outcome = run(*pool, job);
    EXPECT_EQ(ending_word(outcome.ending), std::string(ending_word(c.ending)))
        << c.what << ": " << outcome.message;
    EXPECT_LT(outcome.wall_seconds, 10) << c.what;
  }
}

TEST(Pool, DiskIsLimitedAsAWhole) {
  NEED_POOL(pool);
  Job job = shell("for i in 1 2 3 4 5 6; do head -c 1000000 /dev/zero > /tmp/$i || exit 9; done");
  job.limits.disk_bytes = 4 << 20;
  EXPECT_EQ(run(*pool, job).exit_code, 9);
  job.limits.disk_bytes = 16 << 20;
  EXPECT_EQ(run(*pool, job).exit_code, 0);
}

TEST(Pool, MemoryIsLimitedForAllProcessesTogether) {
  NEED_POOL(pool);
  ASSERT_TRUE(pool->has_python_lane()) << "no python3";
  Job job = python(
      "import os, time\nfor _ in range(4):\n  if os.fork() == 0:\n    a = bytearray(60 << 20); "
      "time.sleep(1); os._exit(0)\n"
      "codes = [os.wait()[1] for _ in range(4)]\nexit(9 if any(codes) else 0)");
  job.limits.memory_bytes = 128 << 20;
  const Outcome outcome = run(*pool, job, Lane::python);
  if (pool->isolation().groups.memory) {
    EXPECT_EQ(outcome.ending, Ending::memory) << outcome.message;
    EXPECT_GT(outcome.memory_bytes, 100u << 20);
  } else {
    EXPECT_EQ(outcome.ending, Ending::ok) << "each process is below the limit";
  }
  job.limits.memory_bytes = 512 << 20;
  EXPECT_EQ(run(*pool, job, Lane::python).ending, Ending::ok);
}

TEST(Pool, MemoryOfOneProcessIsLimited) {
  NEED_POOL(pool);
  ASSERT_TRUE(pool->has_python_lane()) << "no python3";
  Job job = python("a = bytearray(500 << 20)");
  job.limits.memory_bytes = 128 << 20;
  const Outcome outcome = run(*pool, job, Lane::python);
  EXPECT_EQ(outcome.ending, pool->isolation().groups.memory ? Ending::memory : Ending::runtime)
      << outcome.err;
}

TEST(Pool, WithoutGroupsMemoryOfNoProcessIsDenied) {
  PoolOptions options = test_options(1);
  options.use_groups = false;
  const auto pool = Pool::start(options);
  NEED_JAILS(pool.status());
  const Job job = python(
      "import ctypes, os\nlibc = ctypes.CDLL(None)\n"
      "for f, a in (('memfd_create', (b'x', 0)), ('shmget', (0, 4096, 0o1666)), ('msgget', (0, "
      "0o1666)),\n"
      "             ('semget', (0, 1, 0o1666)), ('mq_open', (b'/x', 66, 0o666, None))):\n"
      "  print(getattr(libc, f)(*a))");
  EXPECT_EQ(run(**pool, job, Lane::python).out, "-1\n-1\n-1\n-1\n-1\n");
}

TEST(Pool, AProgramThatOnlyWaitsIsEnded) {
  NEED_POOL(pool);
  Job job = shell("sleep 100");
  job.limits.idle_seconds = 0.3;
  job.limits.wall_seconds = 100;
  const Outcome outcome = run(*pool, job);
  EXPECT_EQ(outcome.ending, Ending::timeout);
  EXPECT_NE(outcome.message.find("waits"), std::string::npos) << outcome.message;
}

TEST(Pool, AMissingProgramIsOurFault) {
  NEED_POOL(pool);
  Job job;
  job.argv = {"/usr/bin/no-such-program"};
  const Outcome outcome = run(*pool, job);
  EXPECT_EQ(outcome.ending, Ending::internal);
  EXPECT_NE(outcome.message.find("no-such-program"), std::string::npos) << outcome.message;
  EXPECT_EQ(run(*pool, shell(":")).ending, Ending::ok) << "the slot goes on";
}

TEST(Pool, ACancelledRunEndsSoon) {
  NEED_POOL(pool);
  Stopwatch watch;
  Job job = shell("sleep 100");
  job.limits.wall_seconds = 100;
  const auto outcome = pool->run(job, Lane::native, [&] { return watch.seconds() > 0.2; });
  EXPECT_EQ(outcome.status().code(), StatusCode::cancelled);
  EXPECT_LT(watch.seconds(), 30);
  EXPECT_EQ(run(*pool, shell("echo next")).out, "next\n");
}

TEST(Pool, TheQueueIsBoundedAndInOrder) {
  PoolOptions options = test_options(1);
  options.max_waiting = 2;
  const auto pool = Pool::start(options);
  NEED_JAILS(pool.status());
  std::atomic<int> refused{0}, done{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 6; ++i) {
    clients.emplace_back([&] {
      const auto outcome = (*pool)->run(shell("sleep 0.5"), Lane::native, {});
      outcome.ok() ? ++done : ++refused;
      EXPECT_TRUE(outcome.ok() || outcome.status().code() == StatusCode::exhausted);
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(done, 3);
  EXPECT_EQ(refused, 3);
}

TEST(Pool, WithoutControlGroupsTheAddressSpaceIsLimited) {
  PoolOptions options = test_options(1);
  options.use_groups = false;
  const auto pool = Pool::start(options);
  NEED_JAILS(pool.status());
  Job job = python("try: a = bytearray(500 << 20)\nexcept MemoryError: print('too much')");
  job.limits.memory_bytes = 200 << 20;
  ASSERT_TRUE((*pool)->has_python_lane()) << "no python3";
  EXPECT_EQ(run(**pool, job, Lane::python).out, "too much\n");
  Job busy = shell("for i in 1 2; do (while :; do :; done) & done; while :; do :; done");
  busy.limits.cpu_seconds = 0.5;
  EXPECT_EQ(run(**pool, busy).ending, Ending::timeout);
}

TEST(Pool, AShownDirectoryIsReadOnly) {
  const std::string directory = "/var/tmp/pool_test_" + std::to_string(::getpid());
  std::filesystem::create_directory(directory);
  std::ofstream(directory + "/file") << "shown";
  PoolOptions options = test_options(1);
  options.directories = {directory};
  const auto pool = Pool::start(options);
  if (pool.ok()) {
    const Outcome outcome =
        run(**pool, shell("cat " + directory + "/file; touch " + directory + "/x || echo no"));
    EXPECT_EQ(outcome.out, "shownno\n") << outcome.err;
  }
  std::filesystem::remove_all(directory);
  NEED_JAILS(pool.status());
}

TEST(Pool, ADirectoryThatCannotBeShownIsRefused) {
  for (const char* bad : {"relative", "/", "/no/such/directory", "/proc", "/usr/.."}) {
    PoolOptions options = test_options(1);
    options.directories = {bad};
    const auto pool = Pool::start(options);
    ASSERT_FALSE(pool.ok()) << bad;
    EXPECT_NE(pool.status().message().find(bad), std::string::npos);
  }
}

}  // namespace
}  // namespace longshot::sandbox
