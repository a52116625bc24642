# LONGSHOT_VENV: the virtual environment with the torch and pyarrow wheels, made by tools/setup.
if(DEFINED ENV{LONGSHOT_VENV})
  set(LONGSHOT_VENV $ENV{LONGSHOT_VENV})
else()
  set(LONGSHOT_VENV ${CMAKE_SOURCE_DIR}/.venv)
endif()
