# Runs a user's reward function for longshot: one JSON request a line on stdin, one JSON reply a line on stdout.
# Arguments: file, function name. The real stdin and stdout are moved away before the user's code is loaded, so nothing
# it prints or reads can disturb the protocol.
import asyncio
import importlib.util
import inspect
import json
import math
import os
import sys
import traceback

if hasattr(sys, "set_int_max_str_digits"):
    sys.set_int_max_str_digits(0)  # rows hold integers of any size

requests = os.fdopen(os.dup(0), "r", encoding="utf-8", newline="\n")
replies = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
os.dup2(2, 1)
sys.stdout.reconfigure(line_buffering=True)  # a line that is printed is logged with its call


def reply(value):
    replies.write(json.dumps(value) + "\n")
    replies.flush()


def describe(error):
    text = "".join(traceback.format_exception_only(type(error), error)).strip()
    frames = traceback.extract_tb(error.__traceback__)
    return f"{text} (at {frames[-1].filename}:{frames[-1].lineno})" if frames else text


def load(path, name):
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    spec = importlib.util.spec_from_file_location("longshot_reward", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["longshot_reward"] = module
    spec.loader.exec_module(module)
    function = getattr(module, name, None)
    if not callable(function):
        own = [key for key, value in vars(module).items() if inspect.isfunction(value)]
        raise AttributeError(f"it has no function {name}; it has {', '.join(own) or 'none'}: set the option function")
    check_arguments(function)
    return function


def check_arguments(function):
    """Raises TypeError if the function cannot be called as score() does."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # some built-in functions have none
        return
    try:
        signature.bind(data_source="", solution_str="", ground_truth="", extra_info={})
    except TypeError as error:
        hint = "; TRL's reward functions have another form" if "completions" in signature.parameters else ""
        name = getattr(function, "__name__", "the function")
        raise TypeError(f"{name}{signature} cannot be called with data_source, solution_str, "
                        f"ground_truth and extra_info by name: {error}{hint}") from None


def number(value):
    value = float(value)
    if not math.isfinite(value):
        raise ValueError(f"the score is {value}")
    return value


def flag(value):
    """True and False of Python and numpy as they are, anything else as a number."""
    return bool(value) if type(value).__name__ in ("bool", "bool_") else number(value)


def score(function, request):
    value = function(
        data_source=request["data_source"],
        solution_str=request["completion"],
        ground_truth=request["ground_truth"],
        extra_info=request["extra_info"],
    )
    if inspect.isawaitable(value):
        value = asyncio.run(value)
    if not isinstance(value, dict):
        return {"score": number(value)}
    out = {"score": number(value["score"])}
    for key in ("correct", "acc"):
        if value.get(key) is not None:
            out["correct"] = flag(value[key])
            break
    for key in ("answer", "pred"):
        if value.get(key) is not None:
            out["answer"] = str(value[key])
            break
    return out


def main():
    try:
        function = load(sys.argv[1], sys.argv[2])
    except BaseException as error:
        reply({"error": f"cannot load {sys.argv[1]}: {describe(error)}"})
        return
    reply({"ready": True})
    for line in requests:
        try:
            reply(score(function, json.loads(line)))
        except Exception as error:
            reply({"error": describe(error)})


main()
