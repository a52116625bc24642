# Loads solution.py, calls the function that stdin names, and writes the returned value to a file. Before the solution
# starts, stdin is read and closed and everything that is needed later has been looked up, so the solution cannot
# replace it.
import json
import os
import sys
import types

if hasattr(sys, "set_int_max_str_digits"):
    sys.set_int_max_str_digits(0)  # arguments and answers may contain integers of any size


def read_request():
    asked = json.loads(sys.stdin.buffer.read())
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return asked


def with_number_keys(value):
    """JSON turns the keys of a dict into texts. Turns them into integers again if all of them are integers."""
    if not isinstance(value, dict) or not value:
        return value
    if not all(key.removeprefix("-").isdecimal() and str(int(key)) == key for key in value):
        return value
    return {int(key): content for key, content in value.items()}


def plain(value):
    """Converts numbers and arrays that JSON cannot represent: numpy's, Decimal and Fraction."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if type(value).__name__ in ("Decimal", "Fraction"):
        return int(value) if value == int(value) else float(value)
    raise TypeError(f"{type(value).__name__} is not a value of JSON")


def write_answer(answer, open=open, encode=json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=plain).encode,
                 set_limit=sys.setrecursionlimit):
    set_limit(5000)  # overrides any limit of the solution; enough for every answer that can be read
    text = encode(answer)
    with open("answer.json", "w", encoding="utf-8") as file:
        file.write(text)


def solution(preamble):
    """The solution's namespace, as that of a module of that name, and the part that the preamble defined."""
    with open("solution.py", "rb") as file:
        source = file.read()
    module = types.ModuleType("solution")
    module.__file__ = os.path.abspath("solution.py")
    sys.modules["solution"] = module
    exec(compile(preamble, "preamble.py", "exec"), module.__dict__)
    imported = dict(module.__dict__)
    exec(compile(source, "solution.py", "exec"), module.__dict__)
    return module.__dict__, imported


def function_of(name, namespace, imported):
    """A method of Solution, a function of the solution, or one that it has imported."""
    if hasattr(namespace.get("Solution"), name) and namespace.get(name) is imported.get(name):
        return getattr(namespace["Solution"](), name)
    return namespace[name]


def call(name, arguments, preamble, write_answer=write_answer):
    write_answer(function_of(name, *solution(preamble))(*arguments))


def main():
    asked = read_request()
    if asked.get("number_keys"):
        asked["arguments"] = [with_number_keys(value) for value in asked["arguments"]]
    call(asked["function"], asked["arguments"], asked["preamble"])


if __name__ == "__main__":  # the warm interpreter calls main() itself
    main()
