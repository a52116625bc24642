# longshot_embed(OUT VARIABLE HEADER base/name.h NAMESPACE ns FILES a.html b.css)
#   Writes, at build time, a .cc that defines `const std::string_view kAHtml` ... (file name in camel case) with the
#   bytes of the files. HEADER declares the constants. The .cc's path is stored in VARIABLE.
# Run as a script (cmake -P) it writes that file.
if(CMAKE_SCRIPT_MODE_FILE)
  set(TEXT "#include \"${HEADER}\"\n\nnamespace ${NAMESPACE} {\n")
  foreach(FILE ${FILES})
    get_filename_component(NAME ${FILE} NAME)
    string(REGEX REPLACE "[._-]" ";" WORDS ${NAME})
    set(CONSTANT k)
    foreach(WORD ${WORDS})
      string(SUBSTRING ${WORD} 0 1 FIRST)
      string(SUBSTRING ${WORD} 1 -1 REST)
      string(TOUPPER ${FIRST} FIRST)
      string(APPEND CONSTANT ${FIRST}${REST})
    endforeach()
    file(READ ${FILE} BYTES HEX)
    string(REGEX REPLACE "(................................................................)" "\\1\n" BYTES "${BYTES}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" BYTES "${BYTES}")
    string(REGEX REPLACE "([^\n]+)" "    \"\\1\"" BYTES "${BYTES}")
    file(SIZE ${FILE} SIZE)
    string(APPEND TEXT "const std::string_view ${CONSTANT}(\n${BYTES},\n    ${SIZE});\n")
  endforeach()
  file(WRITE ${OUTPUT} "${TEXT}}  // namespace ${NAMESPACE}\n")
  return()
endif()

function(longshot_embed)
  cmake_parse_arguments(A "" "OUT;HEADER;NAMESPACE" "FILES" ${ARGN})
  set(PATHS ${A_FILES})
  list(TRANSFORM PATHS PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
  set(OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/embedded.cc)
  add_custom_command(
    OUTPUT ${OUTPUT}
    COMMAND ${CMAKE_COMMAND} -DHEADER=${A_HEADER} -DNAMESPACE=${A_NAMESPACE} "-DFILES=${PATHS}" -DOUTPUT=${OUTPUT}
            -P ${CMAKE_SOURCE_DIR}/cmake/Embed.cmake
    DEPENDS ${PATHS} ${CMAKE_SOURCE_DIR}/cmake/Embed.cmake
    VERBATIM)
  set(${A_OUT} ${OUTPUT} PARENT_SCOPE)
endfunction()
