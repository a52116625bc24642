# Follows checks_pytest.py: the checks' names, and the life of both processes.

class Names(dict):
    """The checks' global names. A name that is neither theirs nor a builtin refers to the solution."""

    def __init__(self, checks, own, replaced):
        super().__init__(__name__="__main__", __builtins__=builtins)
        self.checks, self.own, self.solutions = checks, own, replaced

    def __missing__(self, name):
        if name.startswith("__") or (hasattr(builtins, name) and name not in self.solutions):
            raise KeyError(name)
        if name in self.own:
            return self.own[name]
        value = self.checks.ask("name", name)
        self.checks.used = True
        return value


class Solution(types.ModuleType):
    """The module that the checks get from `import solution`."""

    def __getattr__(self, name):
        if name == "__all__":
            return self.__dict__["names"].checks.ask("names")
        try:
            return self.__dict__["names"].__missing__(name)
        except KeyError:
            raise AttributeError(name) from None


class Main(types.ModuleType):
    def __getattr__(self, name):
        if name in self.__dict__["names"]:
            return self.__dict__["names"][name]
        raise AttributeError(name)

    def __dir__(self):
        return list(self.__dict__["names"])


def is_installed(name):
    return name in sys.modules or any(finder.find_spec(name, None) for finder in sys.meta_path)


def check_imports(nodes):
    tried = {id(part) for node in nodes if isinstance(node, ast.Try) for part in ast.walk(node)}
    for node in nodes:
        if id(node) in tried or not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        for name in [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]:
            root = (name or "").split(".")[0]
            if root not in ("solution", "pytest") and not is_installed(root):
                raise Unfit(f"import '{root}', which is not installed for the sandbox's Python")


class Used:
    """The names that the checks use, found in their source."""

    def __init__(self, code):
        try:
            nodes = list(ast.walk(ast.parse(code)))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise Unfit(f"are not Python: {error}") from None
        check_imports(nodes)
        named = [n for n in nodes if isinstance(n, ast.Name)]
        bound = {n.id for n in named if not isinstance(n.ctx, ast.Load)} | {n.arg for n in nodes if isinstance(n, ast.arg)}
        bound |= {n.name for n in nodes if isinstance(n, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef))}
        bound |= {(a.asname or a.name).split(".")[0] for n in nodes if isinstance(n, (ast.Import, ast.ImportFrom)) for a in n.names}
        self.free = {n.id for n in named if isinstance(n.ctx, ast.Load)} - bound
        self.bases = {n.value.id for n in nodes if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)}
        self.imports_solution = any(getattr(n, "module", None) == "solution" for n in nodes)
        self.nodes = any(name in self.free for name in NODE_HELPERS)

    def own(self):
        """A module that is only used as `module.name` belongs to the checks, and so do the helpers of LeetCode's checks."""
        standard = getattr(sys, "stdlib_module_names", ())
        modules = {name: name for name in self.bases & self.free if name in standard}
        modules.update({short: name for short, name in (("np", "numpy"), ("pd", "pandas")) if short in self.bases & self.free})
        own = {}
        for name, module in modules.items():
            with contextlib.suppress(ImportError):
                own[name] = __import__(module)
        if self.nodes:
            own.update(NODE_HELPERS, ListNode=ListNode, TreeNode=TreeNode)
        return own


def names_of(used, checks):
    """If the checks use nothing else of the solution, a builtin's name refers to the solution's function of that name, as in
    MBPP's `assert sum(10, 15) == 6`."""
    own = used.own()
    unknown = {name for name in used.free - set(own) if not hasattr(builtins, name)}
    defined = checks.ask("names") if not unknown and not used.imports_solution else []
    return Names(checks, own, {name for name in used.free if name in defined})


def run_checks(code, used, checks):
    names = checks.names = names_of(used, checks)
    sys.modules["solution"] = solution = Solution("solution")
    sys.modules["__main__"] = main = Main("__main__")
    sys.modules["pytest"] = Pytest("pytest")
    solution.__dict__["names"] = main.__dict__["names"] = names
    sys.argv = ["checks.py"]
    try:
        exec(compile(code, "checks.py", "exec"), names)
        run_tests(names)
    except SystemExit as stop:  # from unittest.main() in the checks; an exit in the solution is handled elsewhere
        if stop.code:
            raise AssertionError("the checks have ended with " + str(stop.code)) from None
    if checks.broken:
        raise checks.broken
    if not checks.used:
        raise Unfit("use nothing of the program, so that they say nothing about it")


def verdict(asked, checks):
    """Returns the token, or the token and the reason why the checks cannot be run. Any other exception is a wrong answer."""
    try:
        used = Used(asked["checks"])
        checks.load(asked["preamble"], used.nodes)
        run_checks(asked["checks"], used, checks)
        return asked["token"]
    except BaseException:
        if Unfit.first is None:
            raise
        return f"{asked['token']} {Unfit.first}"[:2000]


def main():
    (their_reader, our_writer), (our_reader, their_writer) = os.pipe(), os.pipe()
    if os.fork() == 0:
        os.close(our_writer)
        os.close(our_reader)
        nothing = os.open("/dev/null", os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        be_program(Channel(their_reader, their_writer))
    os.close(their_reader)
    os.close(their_writer)
    if PRCTL(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the child may send SIGINT, which must not raise an exception here
    here = os.getcwd()
    sys.path[:] = [path for path in sys.path if path and not os.path.abspath(path).startswith(here)]
    asked = json.loads(sys.stdin.buffer.read())
    answer = verdict(asked, Checks(Channel(our_reader, our_writer)))
    with open("answer.json", "w", encoding="utf-8") as file:
        file.write(answer)


if __name__ == "__main__":  # the warm interpreter calls main() itself
    main()
