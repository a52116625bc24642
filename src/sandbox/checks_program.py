# Follows checks_nodes.py: the child process, in which the solution runs.

class Borrowed:
    """An object of the checks. It can be called and iterated over, and its public attributes are accessible."""

    def __init__(self, program, number):
        self.__dict__.update(_program=program, _number=number)

    def __call__(self, *args, **kwargs):
        return self._program.ask("call", self, *args, **kwargs)

    def __iter__(self):
        return self._program.ask("iter", self)

    def __next__(self):
        return self._program.ask("next", self)

    def __getattr__(self, name):
        return self._program.ask("attr", self, name)

    def __setattr__(self, name, value):
        return self._program.ask("set", self, name, value)


class AskedInput:
    """sys.stdin while the checks have replaced their own stdin."""

    def __init__(self, program):
        self.read, self.readline, self.readlines = (
            lambda *args, name=name: program.ask("stdin", name, *args) for name in ("read", "readline", "readlines"))

    def __iter__(self):
        return iter(self.readline, "")


class Redirection:
    """Lasts for one request. If the checks have replaced their own streams and builtins, captures the solution's output and
    forwards its reads and calls of these builtins to the checks."""

    def __init__(self, program, replaced):
        self.program, self.replaced, self.saved, self.printed = program, replaced, [], program.printed

    def put(self, module, name, value):
        self.saved.append((module, name, getattr(module, name)))
        setattr(module, name, value)

    def __enter__(self):
        self.program.printed = dict(self.printed)
        for name in self.replaced:
            if name in ("stdout", "stderr"):
                self.program.printed[name] = io.StringIO()
                self.put(sys, name, self.program.printed[name])
            elif name == "stdin":
                self.put(sys, name, AskedInput(self.program))
            else:
                self.put(builtins, name, lambda *a, name=name, **k: self.program.ask("builtin", name, *a, **k))

    def __exit__(self, *_):
        for module, name, value in reversed(self.saved):
            setattr(module, name, value)
        self.program.printed = self.printed


class Program(Codec):
    """Answers the checks' requests for objects of the solution."""

    def __init__(self, channel):
        self.channel, self.objects, self.numbers, self.namespace = channel, [], {}, {}
        self.usual, self.printed, self.nodes = {}, {}, False
        self.operations = {
            "name": self.name, "names": self.own_names,
            "call": lambda f, *args, **kwargs: f(*args, **kwargs), "attr": getattr, "set": setattr, "del": delattr,
            "item": operator.getitem, "setitem": operator.setitem, "delitem": operator.delitem, "iter": iter, "next": next,
            "len": len, "bool": bool, "str": str, "repr": repr, "isinstance": isinstance, "eq": operator.eq}

    def name(self, name):
        if name not in self.namespace:
            raise KeyError(name)
        return self.namespace[name]

    def own_names(self):
        """The solution's public names, without those that only the preamble has defined."""
        return [name for name, value in self.namespace.items()
                if not name.startswith("_") and not (name in self.usual and self.usual[name] is value)]

    def node_values(self, value):
        """Returns None for a value that is not a list or tree passed by value."""
        name = type(value).__name__
        return NODES[name][1](value) if self.nodes and name in NODES else None

    def encode_object(self, value):
        if isinstance(value, Borrowed):
            return {"p": value._number}
        if isinstance(value, type) and issubclass(value, Exception):
            return {"e": [kind.__name__ for kind in value.__mro__]}
        if (values := self.node_values(value)) is not None:
            return {type(value).__name__: self.encode(values)}
        number = self.numbers.get(id(value))
        if number is None:
            number = self.numbers[id(value)] = len(self.objects)
            self.objects.append(value)
        return {"h": number}

    def decode_object(self, kind, content):
        if kind == "h":
            return self.objects[content]
        if kind in NODES:
            return NODES[kind][2](self.decode(content), self.namespace.get(kind, NODES[kind][0]))
        return getattr(builtins, content) if kind == "G" else Borrowed(self, content)

    def take_printed(self, message):
        """Adds the output since the last message, so that it appears in its order."""
        for name, kept in self.printed.items():
            if text := kept.getvalue():
                message.setdefault("printed", {})[name] = text
                kept.seek(0)
                kept.truncate()
        return message

    def ask(self, operation, *args, **kwargs):
        self.channel.send(self.take_printed({"ask": [operation, self.encode(args), self.encode(kwargs)]}))
        while True:
            message = self.channel.receive()
            if "value" in message:
                return self.decode(message["value"])
            if "error" in message:
                raise getattr(builtins, message["error"][0], RuntimeError)(message["error"][1])
            self.serve(message)

    def serve(self, message):
        with Redirection(self, message.get("replaced", ())):
            self.answer(message)

    def answer(self, message):
        operation, args, kwargs = message["do"]
        args, kwargs = self.decode(args), self.decode(kwargs)
        before = None if operation != "call" else json.dumps(self.encode([args, kwargs]))
        try:
            reply = {"value": self.encode(self.operations[operation](*args, **kwargs))}
        except Exception as error:
            reply = {"error": [[kind.__name__ for kind in type(error).__mro__], self.encode_all(error.args),
                               traceback.format_exc()]}
        if before is not None:
            after = self.encode([args, kwargs])
            if json.dumps(after) != before:
                reply["changed"] = after
        self.channel.send(self.take_printed(reply))

    def encode_all(self, args):
        return self.encode([a if a is None or isinstance(a, (str, int, float)) else str(a) for a in args])

    def run(self):
        with open("solution.py", "rb") as file:
            source = file.read()
        asked = self.channel.receive()
        self.nodes = asked["nodes"]
        module = types.ModuleType("solution")
        module.__file__ = os.path.abspath("solution.py")
        sys.modules["solution"] = module
        exec(compile(asked["preamble"], "preamble.py", "exec"), module.__dict__)
        self.usual = dict(module.__dict__)
        exec(compile(source, "solution.py", "exec"), module.__dict__)
        self.namespace = module.__dict__
        self.channel.send({"value": None})
        while True:
            self.serve(self.channel.receive())


def be_program(channel):
    code = 1
    try:
        Program(channel).run()
    except Broken:  # the checks have ended
        code = 0
    except BaseException:
        traceback.print_exc()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)
