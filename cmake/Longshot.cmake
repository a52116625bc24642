# longshot_library(NAME base SRCS a.cc DEPS data LIBS ext::lib [TORCH])
#   Adds the static library of a folder. DEPS names the longshot folders it may use; LIBS are external targets.
#   Only TORCH libraries see the torch headers, so a forbidden include does not compile.
# longshot_test(NAME base_test SRCS a_test.cc DEPS base [LIBS ext] [TORCH] [TIMEOUT s])
#   Adds the test program of a folder. There is one per folder, because a program that links libtorch takes about half a
#   second to start.
# longshot_kernels(a.cc ...)
#   Compiles sources of the folder with -O3 and without precompiled headers. -O3 unrolls loops; it does not change
#   results, because the order of the sums is fixed in the code. In functions with a target attribute, such as
#   Highway's, g++ would use the level at which the headers were precompiled, -O2.
set(LONGSHOT_TEST_OPTIONS $<$<CONFIG:Release>:-O1>)  # compiles faster; tests spend their time in the libraries
include(Precompiled)

function(longshot_library)
  cmake_parse_arguments(A "TORCH" "NAME" "SRCS;DEPS;LIBS" ${ARGN})
  add_library(longshot_${A_NAME} STATIC ${A_SRCS})
  target_include_directories(longshot_${A_NAME} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  list(TRANSFORM A_DEPS PREPEND longshot_)
  target_link_libraries(longshot_${A_NAME} PUBLIC ${A_DEPS} ${A_LIBS})
  if(A_TORCH)
    target_link_libraries(longshot_${A_NAME} PUBLIC longshot_torch)
    longshot_precompile(longshot_${A_NAME} library_torch)
  else()
    longshot_precompile(longshot_${A_NAME} library)
  endif()
endfunction()

function(longshot_kernels)
  set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS -O3 SKIP_PRECOMPILE_HEADERS ON)
endfunction()

# longshot_define(FILES a.cc b.cc DEFINITIONS NAME="value")
#   Defines macros that differ between checkouts, such as paths, in those files only: ccache then finds all others.
function(longshot_define)
  cmake_parse_arguments(A "" "" "FILES;DEFINITIONS" ${ARGN})
  set_property(SOURCE ${A_FILES} APPEND PROPERTY COMPILE_DEFINITIONS ${A_DEFINITIONS})
endfunction()

function(longshot_test)
  cmake_parse_arguments(A "TORCH" "NAME;TIMEOUT" "SRCS;DEPS;LIBS" ${ARGN})
  if(NOT LONGSHOT_BUILD_TESTS)
    return()
  endif()
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 300)
  endif()
  add_executable(${A_NAME} ${A_SRCS})
  list(TRANSFORM A_DEPS PREPEND longshot_)
  target_link_libraries(${A_NAME} PRIVATE ${A_DEPS} ${A_LIBS} GTest::gtest GTest::gmock
                                          GTest::gtest_main)
  if(A_TORCH)
    target_link_libraries(${A_NAME} PRIVATE longshot_torch)
    longshot_precompile(${A_NAME} test_torch)
  else()
    longshot_precompile(${A_NAME} test)
  endif()
  target_compile_options(${A_NAME} PRIVATE ${LONGSHOT_TEST_OPTIONS})
  add_test(NAME ${A_NAME} COMMAND ${A_NAME})
  # The sanitizer presets leave out tests with the label torch: libtorch is built without sanitizers, which breaks them.
  set(LABELS unit)
  if(A_TORCH)
    list(APPEND LABELS torch)
  else()
    if(NOT TARGET torch_free_tests)
      add_custom_target(torch_free_tests)
    endif()
    add_dependencies(torch_free_tests ${A_NAME})
  endif()
  set_tests_properties(${A_NAME} PROPERTIES TIMEOUT ${A_TIMEOUT} LABELS "${LABELS}")
endfunction()
