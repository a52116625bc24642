# Program of a warm interpreter: does the slow part of a start once and then serves as a lane. In each child that runs a
# program, the code after serve() makes the interpreter look as it does after `python3 SCRIPT`.
import atexit
import gc
import io
import sys

try:
    import ctypes
except ModuleNotFoundError:
    sys.exit(f"{sys.executable} has no ctypes; Debian's python3-minimal is not enough, python3 is")

import bisect, collections, copy, dataclasses, datetime, decimal, enum, fractions, functools, heapq, itertools  # noqa
import json, math, operator, os, random, re, signal, statistics, string, time, traceback, types, typing  # noqa

PREPARED = {}  # programs that run often, keyed by their text: the globals of the test harnesses


def serve():
    library, channel, *rest = sys.argv[1:7]
    for source in sys.argv[7:]:
        names = PREPARED[source.encode()] = {"__name__": "harness"}
        exec(compile(source, "/box/main.py", "exec"), names)
    lane = ctypes.PyDLL(library).longshot_serve_lane
    lane.restype = ctypes.c_void_p
    size = ctypes.c_size_t()
    gc.collect()
    gc.freeze()
    words = lane(int(channel), *[word.encode() for word in rest], ctypes.byref(size))
    return [os.fsdecode(word) for word in ctypes.string_at(words, size.value).split(b"\0")[:-1]]


def standard_streams():
    def stream(fd, mode):
        raw = open(fd, mode, closefd=False)
        errors = "backslashreplace" if fd == 2 else "surrogateescape"
        return io.TextIOWrapper(raw, "utf-8", errors, write_through=False, line_buffering=fd == 2)

    sys.stdin = sys.__stdin__ = stream(0, "rb")
    sys.stdout = sys.__stdout__ = stream(1, "wb")
    sys.stderr = sys.__stderr__ = stream(2, "wb")


def run(argv):
    standard_streams()
    sys.argv = argv
    sys.path[0] = os.getcwd()
    path = os.path.abspath(argv[0])
    os.environ.clear()
    os.environ.update(PATH="/usr/local/bin:/usr/bin:/bin", HOME="/box", USER="user", TMPDIR="/tmp", LANG="C.UTF-8",
                      PYTHONHASHSEED="0", PYTHONINTMAXSTRDIGITS="0", PYTHONDONTWRITEBYTECODE="1")
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)
    sys.dont_write_bytecode = True
    main = types.ModuleType("__main__")
    main.__file__ = path
    main.__builtins__ = __builtins__
    sys.modules["__main__"] = main
    leave(execute(path, main), main)


def execute(path, main):
    """The exit code that the interpreter would derive from the exception of the program."""
    try:
        with open(path, "rb") as file:
            source = file.read()
        if source in PREPARED:
            PREPARED[source]["main"]()
        else:
            exec(compile(source, path, "exec"), main.__dict__)
        return 0
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return (stop.code or 0) & 255
        print(stop.code, file=sys.stderr)
    except BaseException as error:
        trace = error.__traceback__.tb_next  # without this function's frame
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        if isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
    return 1


def leave(code, main):
    """Does the part of the interpreter's shutdown that a program can observe. A full shutdown would also take apart every
    loaded module, which takes milliseconds."""
    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()
    atexit._run_exitfuncs()
    main.__dict__.clear()
    gc.collect()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):  # None, or broken or closed by the program
            pass
    os._exit(code)


run(serve())
