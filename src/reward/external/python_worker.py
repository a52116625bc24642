# Runs a user's reward function for longshot: one JSON request per line on stdin, one JSON reply per
# line on stdout. Arguments: file (or pkg://module), function name, a JSON object of further
# arguments. The real stdin and stdout are moved away before the user's code is loaded, so nothing
# that it prints or reads can disturb the protocol.
import asyncio
import importlib.util
import inspect
import json
import math
import operator
import os
import sys
import traceback
import types

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


def text(value):
    """Converts to a string that UTF-8 can encode: half a surrogate pair becomes a question mark."""
    return str(value).encode("utf-8", "replace").decode()


def describe(error):
    what = "".join(traceback.format_exception_only(type(error), error)).strip()
    frames = traceback.extract_tb(error.__traceback__)
    return text(f"{what} (at {frames[-1].filename}:{frames[-1].lineno})" if frames else what)


def package_of(path):
    """The folder above the outermost package of the file, and the parts of its dotted name below."""
    folder, base = os.path.split(os.path.splitext(path)[0])
    names = [] if base == "__init__" else [base]
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        folder, base = os.path.split(folder)
        names.insert(0, base)
    return folder, names


def import_below_bare_packages(folder, names):
    """Imports the module without running the __init__ files of the packages around it."""
    for module in [m for m in sys.modules if m.split(".")[0] == names[0]]:
        del sys.modules[module]
    packages = {".".join(names[:n]): os.path.join(folder, *names[:n]) for n in range(1, len(names))}
    source = f"""import sys, types
for name, path in {packages!r}.items():
    package = types.ModuleType(name)
    package.__path__ = [path]
    sys.modules.setdefault(name, package)
"""
    exec(source, {})
    # Processes that the function starts with multiprocessing run the main module's file first.
    file = os.memfd_create("packages")
    os.write(file, source.encode())
    sys.modules["__main__"].__file__ = f"/proc/{os.getpid()}/fd/{file}"
    return importlib.import_module(".".join(names))


def import_file(path):
    path = os.path.abspath(path)
    folder, names = package_of(path)
    if len(names) > 1 or os.path.basename(path) == "__init__.py":
        sys.path.insert(0, folder)
        try:
            return importlib.import_module(".".join(names))
        except ImportError as error:
            # A large package may import modules that are not installed here and not needed.
            try:
                return import_below_bare_packages(folder, names)
            except ImportError:
                raise error from None
    sys.path.insert(0, os.path.dirname(path))
    spec = importlib.util.spec_from_file_location("longshot_reward", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["longshot_reward"] = module
    spec.loader.exec_module(module)
    return module


def load(path, name):
    if path.startswith("pkg://"):
        module = importlib.import_module(path[len("pkg://"):].replace("/", "."))
    else:
        module = import_file(path)
    function = getattr(module, name, None)
    if not callable(function) and not is_rubric(function):
        own = [key for key, value in vars(module).items() if inspect.isfunction(value)]
        raise AttributeError(f"it has no function {name}; it has {', '.join(own) or 'none'}: set the option function")
    return function


def is_rubric(value):
    """True for an object with reward functions and their weights, such as verifiers' Rubric."""
    return not inspect.isclass(value) and isinstance(getattr(value, "funcs", None), list)


class Function:
    """Calls a reward function, in the form that its parameters show.

    verl: any subset of verl's parameters, matched by name. Parameters without a default that have
    other names get the response and the ground truth, in this order. The plural names are those of
    verl's batch functions, which get lists of one element here.
    """

    def __init__(self, function, fixed):
        self.function, self.fixed = function, fixed
        self.loop = None
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):  # some built-in functions have none
            self.parameters = None
            return
        self.parameters = signature.parameters
        self.check(signature)

    def check(self, signature):
        """Raises TypeError if the function cannot be called with the arguments of a request."""
        request = dict.fromkeys(("data_source", "completion", "ground_truth", "extra_info"))
        try:
            signature.bind(**self.arguments(request))
        except TypeError as error:
            raise TypeError(f"{name_of(self.function)}{signature} cannot be called with data_source, solution_str, "
                            f"ground_truth and extra_info by name: {error}") from None

    def arguments(self, request):
        extra = {} if request["extra_info"] is None else request["extra_info"]
        if isinstance(extra, dict):  # what verl adds for an answer of one turn
            extra.setdefault("num_turns", 2)
            extra.setdefault("rollout_reward_scores", {})
        given = {
            "data_source": request["data_source"],
            "solution_str": request["completion"],
            "ground_truth": request["ground_truth"],
            "extra_info": extra,
        }
        if self.parameters is None:
            return {**given, **self.fixed}
        kinds = self.parameters.values()
        lists = {name + "s": [value] for name, value in given.items()}
        if any(p.kind is p.VAR_KEYWORD for p in kinds) and not lists.keys() & self.parameters.keys():
            return {**given, **self.fixed, **self.unmatched(given, {**given, **self.fixed})}
        by_name = {k: v for k, v in {**given, **lists}.items() if k in self.parameters}
        by_name.update(self.fixed)
        by_name.update(self.unmatched(given, by_name))
        return by_name

    def unmatched(self, given, bound):
        plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        open_names = [n for n, p in self.parameters.items()
                      if p.kind in plain and p.default is p.empty and n not in bound]
        wanted = [k for k in ("solution_str", "ground_truth")
                  if k not in self.parameters and k + "s" not in self.parameters]
        return {name: given[key] for name, key in zip(open_names, wanted)}

    def __call__(self, request):
        return self.result(self.function(**self.arguments(request)))

    def result(self, value):
        if not inspect.isawaitable(value):
            return value
        if self.loop is None:  # one for all calls: clients made in one are used in the next
            self.loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self.loop)
        return self.loop.run_until_complete(value)


def chat_of(request):
    """The prompt and the response as messages if the row is a chat, else as texts."""
    messages = request.get("messages")
    if not messages:
        return request["prompt"], request["completion"]
    return messages, [{"role": "assistant", "content": request["completion"]}]


def columns_of(request):
    """The columns of the row by name; the answer also by its usual names."""
    extra = request["extra_info"] if isinstance(request["extra_info"], dict) else {}
    truth = request["ground_truth"]
    return {"answer": truth, "solution": truth, "ground_truth": truth, "data_source": request["data_source"], **extra}


class KeywordFunction(Function):
    """A function whose parameters are names of a row's columns or of the form's own arguments."""

    def check(self, signature):
        pass  # its columns are known with the first row

    def bound(self, given):
        given = {**given, **self.fixed}
        if self.parameters is None or any(p.kind is p.VAR_KEYWORD for p in self.parameters.values()):
            return given
        return {key: value for key, value in given.items() if key in self.parameters}

    def call(self, given):
        arguments = self.bound(given)
        for name, parameter in (self.parameters or {}).items():
            plain = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            if plain and parameter.default is parameter.empty and name not in arguments:
                raise TypeError(f"the row has no column {name}, which the function {name_of(self.function)} wants; "
                                f"it has {', '.join(sorted(given))}")
        return self.result(self.function(**arguments))


class TrlFunction(KeywordFunction):
    """TRL's form: prompts and completions, and the columns of the rows as keywords, all as lists."""

    def __call__(self, request):
        prompt, completion = chat_of(request)
        given = {key: [value] for key, value in columns_of(request).items()}
        given.update(prompts=[prompt], completions=[completion], trainer_state=None,
                     log_extra=lambda *_, **__: None, log_metric=lambda *_, **__: None)
        values = self.call(given)
        if not hasattr(values, "__len__") or len(values) != 1:
            raise TypeError(f"a function of completions returns a list with one score for each, not {values!r}")
        return NOT_APPLICABLE if values[0] is None else values[0]


class VerifiersFunction(KeywordFunction):
    """verifiers' form: completion, and any of prompt, answer, task, info, state and parser."""

    def __call__(self, request, parser=None):
        prompt, completion = chat_of(request)
        columns = columns_of(request)
        own = {"prompt": prompt, "completion": completion, "answer": columns["answer"],
               "task": columns.get("task", request["data_source"]), "info": columns.get("info", columns)}
        state = {**own, "responses": [], "turn": 1, "is_completed": True, "timing": {}}
        parser = parser if parser is not None else PlainParser()
        return self.call({**columns, **own, "state": state, "parser": parser})


class PlainParser:
    """The parser of functions that bring none: the answer is the text of the last message."""

    def parse(self, content):
        return content

    def parse_answer(self, completion):
        return completion if isinstance(completion, str) else completion[-1]["content"]


class Rubric:
    """An object of verifiers: the weighted sum of its functions, each of them also a figure."""

    def __init__(self, rubric, fixed):
        self.parser = getattr(rubric, "parser", None)
        self.functions = [VerifiersFunction(f, fixed) for f in rubric.funcs]
        self.weights = list(getattr(rubric, "weights", None) or [1.0] * len(self.functions))
        names = [name_of(f) for f in rubric.funcs]  # the second x becomes x#2
        self.names = [f"{x}#{names[:i].count(x) + 1}" if x in names[:i] else x for i, x in enumerate(names)]
        if len(self.weights) != len(self.functions) or not self.functions:
            raise TypeError("a rubric needs one weight for each of its functions, and at least one function")

    def __call__(self, request):
        values = [number(f(request, self.parser)) for f in self.functions]
        return {**own_names(dict(zip(self.names, values))), "score": sum(w * v for w, v in zip(self.weights, values))}


class EnvironmentRubric(Function):
    """OpenEnv's form: an object, or a class without arguments, with forward(action, observation)."""

    def __init__(self, rubric, fixed):
        self.rubric = rubric(**fixed) if inspect.isclass(rubric) else rubric
        self.loop = None

    def __call__(self, request):
        prompt, _ = chat_of(request)
        action = types.SimpleNamespace(message=request["completion"], content=request["completion"], metadata={})
        own = {"prompt": prompt, "done": True, "reward": None, "metadata": columns_of(request)}
        observation = types.SimpleNamespace(**{**columns_of(request), **own})
        value = number(self.result(self.rubric(action, observation)))
        named = getattr(self.rubric, "named_rubrics", dict)()
        figures = {name: child.last_score for name, child in dict(named).items() if name and child.last_score is not None}
        return {**own_names(figures), "score": value}


VERIFIERS_NAMES = {"completion", "prompt", "answer", "task", "info", "state", "parser"}
NOT_APPLICABLE = object()  # TRL's None: this reward says nothing of the sample


def name_of(function):
    """A name for messages and figures, that of the type for partial functions and other objects."""
    return getattr(function, "__name__", type(function).__name__)


def own_names(figures):
    """The figures, with names that no member of a reply has."""
    return {f"{name}_reward" if name in MEMBERS else name: value for name, value in figures.items()}


def form_of(function, fixed):
    if is_rubric(function):
        return Rubric(function, fixed)
    if callable(getattr(function, "forward", None)):
        return EnvironmentRubric(function, fixed)
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        parameters = {}
    if "completions" in parameters:
        return TrlFunction(function, fixed)
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    wanted = {name for name, p in parameters.items() if p.kind in plain and p.default is p.empty}
    if "completion" in wanted and wanted <= VERIFIERS_NAMES | fixed.keys():
        return VerifiersFunction(function, fixed)
    return Function(function, fixed)


def number(value):
    if value is None:
        raise ValueError("the score is None")
    value = float(value)
    if not math.isfinite(value):
        raise ValueError(f"the score is {value}")
    return value


def flag(value):
    """True and False of Python and numpy as they are, anything else as a number."""
    return bool(value) if type(value).__name__ in ("bool", "bool_") else number(value)


MEMBERS = ("score", "correct", "acc", "answer", "pred", "error", "step_values", "applies")


def extra_figures(value):
    """The other members that are numbers, for the metrics."""
    out = {}
    for key, item in value.items():
        if key in MEMBERS or isinstance(item, (str, bytes)):
            continue
        try:
            out[text(key)] = number(item)
        except (TypeError, ValueError, OverflowError):
            pass
    return out


def step_values(steps):
    """The values of steps, [{"end": characters, "value": number}, ...], with scalars of numpy and torch as numbers."""
    if not isinstance(steps, (list, tuple)):
        raise ValueError(f"step_values must be a list, not {steps!r}")
    out = []
    for i, step in enumerate(steps, 1):
        try:
            out.append({"end": operator.index(step["end"]), "value": number(step["value"])})
        except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"step_values: step {i} must be a dict with 'end', the number of characters up to its "
                             f"end, and 'value', a number, not {step!r}") from error
    return out


def score(value):
    if value is NOT_APPLICABLE:
        return {"applies": False}
    if isinstance(value, (tuple, list)):  # (score, details ...), or verl's batch of one
        value = value[0]
    if not isinstance(value, dict):
        return {"score": number(value)}
    out = {**extra_figures(value), "score": number(value["score"])}
    for key in ("correct", "acc"):
        if value.get(key) is not None:
            out["correct"] = flag(value[key])
            break
    for key in ("answer", "pred"):
        if value.get(key) is not None:
            out["answer"] = text(value[key])
            break
    if value.get("step_values") is not None:
        out["step_values"] = step_values(value["step_values"])
    return out


def main():
    try:
        function = form_of(load(sys.argv[1], sys.argv[2]), json.loads(sys.argv[3]))
    except BaseException as error:
        reply({"error": f"cannot load {sys.argv[1]}: {describe(error)}"})
        return
    reply({"ready": True})
    for line in requests:
        try:
            reply(score(function(json.loads(line))))
        except Exception as error:
            reply({"error": describe(error)})


main()
