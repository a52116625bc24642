# Target longshot_torch: libtorch from the torch wheel, CPU or CUDA.
# The CMake configuration of torch requires a CUDA toolkit if the wheel was built with CUDA, so the shared libraries
# are linked directly. Set LIBTORCH to use another libtorch (a folder with include/ and lib/).
if(DEFINED ENV{LIBTORCH})
  set(LIBTORCH_DEFAULT $ENV{LIBTORCH})
else()
  file(GLOB LIBTORCH_DEFAULT ${LONGSHOT_VENV}/lib/python3*/site-packages/torch)
endif()
set(LIBTORCH ${LIBTORCH_DEFAULT} CACHE PATH "libtorch folder (with include/ and lib/)")
if(NOT EXISTS ${LIBTORCH}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "libtorch not found at '${LIBTORCH}'. Run tools/setup, or set LIBTORCH to a folder "
                      "that has include/ and lib/libtorch_cpu.so.")
endif()

# A libtorch with the old C++ ABI would fail at the end of the build, in undefined std::__cxx11 symbols.
file(STRINGS ${LIBTORCH}/lib/libc10.so C10_NEW_ABI_SYMBOL REGEX "^_ZN3c105ErrorC1.*__cxx11" LIMIT_COUNT 1)
if(NOT C10_NEW_ABI_SYMBOL)
  message(FATAL_ERROR "libtorch at '${LIBTORCH}' was built with _GLIBCXX_USE_CXX11_ABI=0. Use the torch wheel "
                      "of 2.6 or later (tools/setup installs one), or a libtorch built with the C++11 ABI.")
endif()

add_library(longshot_torch INTERFACE)
# The wheel's include/ contains fmt headers of another version than the fmt library that is linked; the headers of the
# latter must be found first.
get_target_property(FMT_INCLUDE fmt::fmt INTERFACE_INCLUDE_DIRECTORIES)
set(FMT_FIRST ${CMAKE_BINARY_DIR}/fmt_first)
file(MAKE_DIRECTORY ${FMT_FIRST})
file(CREATE_LINK ${FMT_INCLUDE}/fmt ${FMT_FIRST}/fmt SYMBOLIC)
target_include_directories(longshot_torch SYSTEM INTERFACE ${FMT_FIRST} ${LIBTORCH}/include)
target_link_directories(longshot_torch INTERFACE ${LIBTORCH}/lib)
# Operators register themselves by static objects, so the libraries must stay linked even when no symbol
# of them is named.
set(TORCH_LIBS -Wl,--no-as-needed torch torch_cpu c10)
set(TORCH_RPATHS ${LIBTORCH}/lib)
if(EXISTS ${LIBTORCH}/lib/libtorch_cuda.so)
  list(APPEND TORCH_LIBS torch_cuda c10_cuda)
  # cuBLAS, cuDNN, NCCL and others are in wheels of their own beside the CUDA wheel.
  file(GLOB NVIDIA_LIBS ${LIBTORCH}/../nvidia/*/lib)
  list(APPEND TORCH_RPATHS ${NVIDIA_LIBS})
  set(LONGSHOT_TORCH_CUDA ON)
else()
  set(LONGSHOT_TORCH_CUDA OFF)
endif()
target_link_libraries(longshot_torch INTERFACE ${TORCH_LIBS} -Wl,--as-needed)
# A build that will run on another machine (tools/gpu_bundle) has a run path of its own instead of the wheels' folders.
if(NOT CMAKE_BUILD_WITH_INSTALL_RPATH)
  foreach(RPATH ${TORCH_RPATHS})
    target_link_options(longshot_torch INTERFACE -Wl,-rpath,${RPATH})
  endforeach()
endif()
target_link_options(longshot_torch INTERFACE -Wl,--allow-shlib-undefined)
# Allows only the headers of single operators: an include of all of them costs 20 to 50 seconds a file.
target_compile_definitions(longshot_torch INTERFACE AT_PER_OPERATOR_HEADERS
                                                    TORCH_ASSERT_ONLY_METHOD_OPERATORS)
message(STATUS "libtorch: ${LIBTORCH} (CUDA libraries: ${LONGSHOT_TORCH_CUDA})")
