# longshot_precompile(TARGET PROFILE)
#   Compiles the target's sources with the precompiled headers of a profile: library, library_torch, program, test or
#   test_torch. Only external headers are precompiled; most files then compile in two thirds to four fifths of the time.
#   A source must still include what it uses: the presets dev, asan and tsan build without precompiled headers
#   (CMAKE_DISABLE_PRECOMPILE_HEADERS).
set(LONGSHOT_HEADERS_library <algorithm> <chrono> <cmath> <filesystem> <fstream> <functional> <map> <memory> <mutex>
    <optional> <sstream> <string> <thread> <unordered_map> <vector> <fmt/format.h> <fmt/ranges.h> <nlohmann/json.hpp>)
set(LONGSHOT_HEADERS_library_torch ${LONGSHOT_HEADERS_library} <ATen/core/Tensor.h>)
set(LONGSHOT_HEADERS_program ${LONGSHOT_HEADERS_library_torch} <CLI/CLI.hpp>)
set(LONGSHOT_HEADERS_test ${LONGSHOT_HEADERS_library} <gmock/gmock.h> <gtest/gtest.h>)
set(LONGSHOT_HEADERS_test_torch ${LONGSHOT_HEADERS_test} <ATen/core/Tensor.h>)
file(WRITE ${CMAKE_BINARY_DIR}/precompiled.cc "")

function(longshot_precompile TARGET PROFILE)
  set(OWNER longshot_headers_${PROFILE})
  if(NOT TARGET ${OWNER})
    add_library(${OWNER} OBJECT ${CMAKE_BINARY_DIR}/precompiled.cc)
    target_link_libraries(${OWNER} PRIVATE fmt::fmt nlohmann_json::nlohmann_json)
    if(PROFILE MATCHES "torch|program")
      target_link_libraries(${OWNER} PRIVATE longshot_torch)
    endif()
    if(PROFILE MATCHES test)
      target_link_libraries(${OWNER} PRIVATE GTest::gtest GTest::gmock)
      target_compile_options(${OWNER} PRIVATE ${LONGSHOT_TEST_OPTIONS})
    endif()
    if(NOT PROFILE MATCHES library)
      # The compiler accepts the headers only if they were compiled like the sources of an executable.
      set_target_properties(${OWNER} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
      target_compile_options(${OWNER} PRIVATE -fPIE)
    endif()
    target_precompile_headers(${OWNER} PRIVATE ${LONGSHOT_HEADERS_${PROFILE}})
  endif()
  target_precompile_headers(${TARGET} REUSE_FROM ${OWNER})
  # The macros that the headers read must be the same everywhere.
  target_compile_definitions(${TARGET} PRIVATE $<TARGET_PROPERTY:fmt::fmt,INTERFACE_COMPILE_DEFINITIONS>)
endfunction()
