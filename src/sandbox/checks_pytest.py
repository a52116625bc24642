# Follows checks_remote.py: runs test functions and classes like pytest and unittest, and replaces the part of pytest
# that they use. The pytest package need not be installed; its plugins and configuration are not supported.

class Unfit(BaseException):
    """The checks cannot be run with any solution."""
    first = None  # kept even if the checks catch the exception, as unittest does

    def __init__(self, reason):
        super().__init__(reason)
        Unfit.first = Unfit.first or self


class Raises:
    def __init__(self, expected, match):
        self.expected, self.match, self.value, self.type = expected, match, None, None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            raise AssertionError(f"{self.expected} was not raised")
        if not issubclass(kind, self.expected):
            return False
        self.value, self.type = value, kind
        if self.match is not None and not re.search(self.match, str(value)):
            raise AssertionError(f"{str(value)!r} does not match {self.match!r}")
        return True


class Approx:
    __hash__ = None

    def __init__(self, expected, rel=None, abs=None, nan_ok=False):
        self.expected, self.rel, self.abs, self.nan_ok = expected, rel, abs, nan_ok

    def __eq__(self, actual):
        if isinstance(self.expected, dict):
            return isinstance(actual, dict) and actual.keys() == self.expected.keys() and all(
                self.near(actual[key], value) for key, value in self.expected.items())
        if isinstance(self.expected, (list, tuple)) or type(self.expected).__module__ == "numpy" and hasattr(self.expected, "__len__"):
            return len(actual) == len(self.expected) and all(map(self.near, actual, self.expected))
        return self.near(actual, self.expected)

    def near(self, actual, expected):
        if actual == expected:
            return True
        if isinstance(actual, bool) or not isinstance(actual, (int, float, complex, decimal.Decimal, fractions.Fraction)):
            return False
        if actual != actual or expected != expected:
            return self.nan_ok and actual != actual and expected != expected
        least = 1e-12 if self.abs is None else self.abs
        share = (1e-6 if self.abs is None else 0) if self.rel is None else self.rel
        return not math.isinf(abs(expected)) and abs(actual - expected) <= max(least, share * abs(expected))


class Mark:
    def __init__(self, name, args=(), kwargs=None):
        self.name, self.args, self.kwargs = name, args, kwargs or {}

    def __call__(self, *args, **kwargs):
        if len(args) == 1 and not kwargs and isinstance(args[0], (types.FunctionType, type)):
            args[0].pytestmark = [*getattr(args[0], "pytestmark", ()), self]
            return args[0]
        return Mark(self.name, args, kwargs)


class Marks:
    def __getattr__(self, name):
        return Mark(name)


class Captured:
    """The fixture capsys."""
    Result = collections.namedtuple("CaptureResult", "out err")

    def readouterr(self):
        result = self.Result(sys.stdout.getvalue(), sys.stderr.getvalue())
        for stream in (sys.stdout, sys.stderr):
            stream.seek(0)
            stream.truncate()
        return result


class Patches:
    """The fixture monkeypatch."""

    def __init__(self):
        self.undone = []

    def setattr(self, target, name, *value, raising=True):
        if not value:
            (target, name), value = str(target).rsplit(".", 1), (name,)
            __import__(target)
            target = sys.modules[target]
        old = getattr(target, name)
        self.undone.append(lambda: setattr(target, name, old))
        setattr(target, name, value[0])

    def setitem(self, mapping, key, value):
        old = dict(mapping)
        self.undone.append(lambda: (mapping.clear(), mapping.update(old)))
        mapping[key] = value

    def setenv(self, name, value, prepend=None):
        self.setitem(os.environ, name, value)

    def undo(self):
        while self.undone:
            self.undone.pop()()


class Fixtures:
    """Provides the values for the parameters of test functions."""
    known = {}

    def __init__(self, owner=None):
        self.values, self.ends, self.owner = {}, [], owner

    def get(self, name):
        if name not in self.values:
            self.values[name] = self.make(name)
        return self.values[name]

    def make(self, name):
        if name in self.known:
            return self.call(self.known[name])
        if name == "monkeypatch":
            patches = Patches()
            self.ends.append(patches.undo)
            return patches
        if name == "capsys":
            streams = contextlib.ExitStack()
            for redirect in (contextlib.redirect_stdout, contextlib.redirect_stderr):
                streams.enter_context(redirect(io.StringIO()))
            self.ends.append(streams.close)
            return Captured()
        if name == "tmp_path":
            import pathlib
            import tempfile
            return pathlib.Path(tempfile.mkdtemp())
        raise Unfit(f"use the fixture '{name}', which is not offered")

    def call(self, function, given=()):
        parameters = inspect.signature(function).parameters
        values = {name: given[name] if name in given else self.get(name) for name, p in parameters.items()
                  if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD and name != "self"}
        result = function(self.owner, **values) if "self" in parameters else function(**values)
        if not inspect.isgenerator(result):
            return result
        self.ends.append(lambda: next(result, None))
        return next(result)

    def close(self):
        while self.ends:
            self.ends.pop()()


def fixture(function=None, **options):
    if function is None:
        return lambda function: fixture(function, **options)
    Fixtures.known[options.get("name") or function.__name__] = function
    return function


class Param(tuple):
    """pytest.param(...)"""


class Pytest(types.ModuleType):
    mark, approx, fixture = Marks(), Approx, staticmethod(fixture)

    @staticmethod
    def raises(expected, *call, match=None, **kwargs):
        if call:
            with Raises(expected, match) as caught:
                call[0](*call[1:], **kwargs)
            return caught
        return Raises(expected, match)

    @staticmethod
    def fail(reason="", **_):
        raise AssertionError(reason)

    @staticmethod
    def param(*values, **_):
        return Param(values)

    @staticmethod
    def main(*_, **__):
        return 0  # the tests run after the checks' module has been executed

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise Unfit(f"use pytest.{name}, which is not offered")


def marks_of(*holders):
    return [mark for holder in holders for mark in getattr(holder, "pytestmark", ())]


def parameter_sets(marks):
    """Returns a dict of arguments for each call of a test."""
    sets = [{}]
    for mark in marks:
        if mark.name != "parametrize":
            continue
        names, rows = mark.args[0], mark.args[1]
        names = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
        rows = [row if isinstance(row, (list, tuple)) and (len(names) > 1 or type(row) is Param) else (row,) for row in rows]
        sets = [{**known, **dict(zip(names, row))} for row in rows for known in sets]
    return sets


def run_function(function, owner=None):
    marks = marks_of(function, type(owner))
    if any(mark.name == "skip" for mark in marks):
        return
    for given in parameter_sets(marks):
        fixtures = Fixtures(owner)
        try:
            for step in ("setup_method", "setup") if owner is not None else ():
                if hasattr(owner, step):
                    getattr(owner, step)(*[None][:len(inspect.signature(getattr(owner, step)).parameters)])
            fixtures.call(function, given)
        finally:
            fixtures.close()


def run_class(kind):
    if hasattr(kind, "setup_class"):
        kind.setup_class()
    for name, value in list(vars(kind).items()):
        if name.startswith("test") and isinstance(value, types.FunctionType):
            run_function(value, kind())


def run_unittest():
    unittest = sys.modules["unittest"]
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    if not unittest.TextTestRunner(stream=sys.__stderr__).run(suite).wasSuccessful():
        raise AssertionError("a test has failed")


def run_tests(names):
    """Runs the tests, because defining them does not run them."""
    unittest = sys.modules.get("unittest")
    for name, value in list(names.items()):
        if name.startswith("test") and isinstance(value, types.FunctionType):
            if name not in Fixtures.known:
                run_function(value)
        elif name.startswith("Test") and isinstance(value, type) and not (unittest and issubclass(value, unittest.TestCase)):
            run_class(value)
    if unittest:
        run_unittest()
