# Functions of tools/setup, ./quickstart and ./check, which source this file from the root of the repository.
# shellcheck shell=bash

MIN_GCC=12
MIN_CLANG=14

die() {  # die CODE MESSAGE
  echo "error: $2" >&2
  exit "$1"
}

venv_dir() { echo "${LONGSHOT_VENV:-$PWD/.venv}"; }

# True if compiler $1 exists and supports the parts of C++20 that longshot uses.
cxx_is_usable() {
  local version
  version=$("$1" -dumpversion 2>/dev/null) || return 1
  if "$1" --version 2>/dev/null | grep -qi clang; then
    [ "${version%%.*}" -ge "$MIN_CLANG" ]
  else
    [ "${version%%.*}" -ge "$MIN_GCC" ]
  fi
}

# Prints the C++ compiler to use: $CXX if it is set, else the first usable one. Fails without output if there is none.
find_cxx() {
  local cxx
  for cxx in ${CXX:-g++ g++-14 g++-13 g++-12 clang++ clang++-18 clang++-16 clang++-15 clang++-14}; do
    if cxx_is_usable "$cxx"; then
      echo "$cxx"
      return 0
    fi
  done
  return 1
}

# Prints the number of parallel compile jobs: the cores that this process may use, at most one per 2 GiB of free memory.
build_jobs() {
  local cores quota period memory_kb jobs
  cores=$(nproc)
  if read -r quota period 2>/dev/null </sys/fs/cgroup/cpu.max && [ "$quota" != max ]; then
    jobs=$(((quota + period - 1) / period))
    [ "$jobs" -lt "$cores" ] && cores=$jobs
  fi
  memory_kb=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB$/\1/p' /proc/meminfo)
  jobs=$((memory_kb / 2097152))
  [ "$jobs" -lt 1 ] && jobs=1
  [ "$jobs" -gt "$cores" ] && jobs=$cores
  echo "$jobs"
}

# Configures the release preset if needed and builds the given targets (all if none are named).
build_release() {
  local target targets=() log=build/configure.log
  CXX=$(find_cxx) || die 2 "no usable C++ compiler (g++ >= $MIN_GCC or clang++ >= $MIN_CLANG); run tools/setup"
  export CXX
  export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1
  for target in "$@"; do targets+=(--target "$target"); done
  mkdir -p build
  if ! cmake --preset release >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    die 1 "cmake could not configure build/release (whole output: $log)"
  fi
  cmake --build --preset release -j "$(build_jobs)" "${targets[@]}"
}
