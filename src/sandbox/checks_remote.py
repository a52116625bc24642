# Follows checks_program.py: the checks' side of the connection, in the parent process.

class Remote:
    """An object of the solution. It cannot decide comparisons and arithmetic with plain values."""
    __slots__ = ("remote_checks", "remote_number")

    def __init__(self, checks, number):
        object.__setattr__(self, "remote_checks", checks)
        object.__setattr__(self, "remote_number", number)

    def __call__(self, *args, **kwargs):
        return self.remote_checks.ask("call", self, *args, **kwargs)

    def __getattr__(self, name):
        return self.remote_checks.ask("attr", self, name)

    def __setattr__(self, name, value):
        self.remote_checks.ask("set", self, name, value)

    def __delattr__(self, name):
        self.remote_checks.ask("del", self, name)

    def __getitem__(self, key):
        return self.remote_checks.ask("item", self, key)

    def __setitem__(self, key, value):
        self.remote_checks.ask("setitem", self, key, value)

    def __delitem__(self, key):
        self.remote_checks.ask("delitem", self, key)

    def __iter__(self):
        return self.remote_checks.ask("iter", self)

    def __next__(self):
        return self.remote_checks.ask("next", self)

    def __len__(self):
        return self.remote_checks.ask("len", self)

    def __bool__(self):
        return self.remote_checks.ask("bool", self) is True

    def __str__(self):
        return self.remote_checks.ask("str", self)

    def __repr__(self):
        return self.remote_checks.ask("repr", self)

    def __enter__(self):
        return self.__getattr__("__enter__")()

    def __exit__(self, *_):
        self.__getattr__("__exit__")(None, None, None)

    def __instancecheck__(self, value):
        return type(value) is Remote and self.remote_checks.ask("isinstance", value, self) is True

    def __hash__(self):
        return hash(self.remote_number)

    def __eq__(self, other):
        if type(other) is not Remote:
            return False
        return self.remote_number == other.remote_number or self.remote_checks.ask("eq", self, other) is True

    def __ne__(self, other):
        return not self == other


def refreshed(old, new):
    """Returns `old` updated with the changes that the solution has made."""
    if type(old) is not type(new):
        return new
    if isinstance(old, (list, collections.deque, tuple)):
        items = [refreshed(o, n) for o, n in zip(old, new)] + list(new)[len(old):]
        if isinstance(old, tuple):
            return old if len(old) == len(items) and all(o is i for o, i in zip(old, items)) else type(old)(items)
        old.clear()
        old.extend(items)
        return old
    if isinstance(old, dict):
        items = {key: refreshed(old[key], value) if key in old else value for key, value in new.items()}
        old.clear()
        old.update(items)
        return old
    if isinstance(old, set):
        old.clear()
        old.update(new)
        return old
    if isinstance(old, bytearray):
        old[:] = new
        return old
    if isinstance(old, (ListNode, TreeNode)):
        old.__dict__.update(new.__dict__)
        return old
    return new


class Checks(Codec):
    """Sends requests to the solution's process, and lends it the objects that the checks pass to the solution."""

    def __init__(self, channel):
        self.channel, self.lock, self.lent, self.remotes = channel, _thread.RLock(), [], {}
        self.exceptions, self.used, self.broken, self.names = {}, False, None, {}
        self.streams = {name: getattr(sys, name) for name in ("stdin", "stdout", "stderr")}
        self.builtins = {name: getattr(builtins, name) for name in ("input", "print")}

    def load(self, preamble, nodes):
        self.channel.send({"preamble": preamble, "nodes": nodes})
        self.answer("load", (), {})

    def ask(self, operation, *args, **kwargs):
        with self.lock:
            try:
                message = {"do": [operation, self.encode(args), self.encode(kwargs)]}
                if replaced := self.replaced():
                    message["replaced"] = replaced
                self.channel.send(message)
                return self.answer(operation, args, kwargs)
            except (OSError, Broken) as error:
                self.broken = error
                raise Broken(str(error)) from None

    def replaced(self):
        """Names of the streams and builtins that the checks have replaced."""
        own = [name for name, stream in self.streams.items() if getattr(sys, name) is not stream]
        return own + [name for name in self.builtins if self.builtin(name) is not self.builtins[name]]

    def builtin(self, name):
        return self.names.get(name) or getattr(builtins, name)

    def answer(self, operation, args, kwargs):
        while True:
            message = self.channel.receive()
            if not isinstance(message, dict):
                raise Broken("an answer that is not one")
            for name, text in message.get("printed", {}).items():
                if name in ("stdout", "stderr") and name in self.replaced():
                    getattr(sys, name).write(str(text))
            if "ask" in message:
                self.channel.send(self.lend(*message["ask"]))
                continue
            if "changed" in message:
                new_args, new_kwargs = self.decode(message["changed"])
                refreshed(list(args), list(new_args))
                refreshed(kwargs, new_kwargs)
            if "error" in message:
                raise self.error(operation, *message["error"])
            return self.decode(message["value"])

    def error(self, operation, names, args, text):
        if operation != "next" and names[0] in ("StopIteration", "StopAsyncIteration"):
            names = ["RuntimeError"]  # StopIteration would end a loop of the checks
        kind = self.exception(names)
        try:
            error = kind(*self.decode(args))
        except Exception:  # some classes need other arguments
            error = RuntimeError(names[0])
        error.__cause__ = RuntimeError(str(text))
        return error

    def exception(self, names):
        """The builtin class of that name, or a new class for the solution's own, derived from the nearest builtin one."""
        known = getattr(builtins, names[0], None)
        if isinstance(known, type) and issubclass(known, Exception):
            return known
        if names[0] not in self.exceptions:
            base = self.exception(names[1:]) if len(names) > 1 else Exception
            try:
                self.exceptions[names[0]] = type(str(names[0]), (base,), {"__init__": lambda self, *args: None})
            except TypeError:
                self.exceptions[names[0]] = type("Error", (Exception,), {})
        return self.exceptions[names[0]]

    def encode_object(self, value):
        if type(value) is Remote:
            return {"h": value.remote_number}
        if isinstance(value, (ListNode, TreeNode)) and (values := NODES[type(value).__name__][1](value)) is not None:
            return {type(value).__name__: self.encode(values)}
        if getattr(builtins, getattr(value, "__name__", "") or "", None) is value:
            return {"G": value.__name__}
        self.lent.append(value)
        return {"p": len(self.lent) - 1}

    def decode_object(self, kind, content):
        if kind == "p":
            return self.lent[content]
        if kind == "e":
            return self.exception(content)
        if kind in NODES:
            return NODES[kind][2](self.decode(content))
        if kind != "h":
            raise Broken("an answer that is not one")
        return self.remotes.setdefault(int(content), Remote(self, int(content)))

    def lend(self, operation, args, kwargs):
        """Executes a request of the solution. On an object of the checks only calls, iteration and public fields are allowed;
        streams and builtins only if the checks have replaced them."""
        args, kwargs = self.decode(args), self.decode(kwargs)
        try:
            return {"value": self.encode(self.lent_result(operation, args, kwargs))}
        except Exception as error:
            return {"error": [type(error).__name__, str(error)]}

    def lent_result(self, operation, args, kwargs):
        value = args[0]
        if operation in ("stdin", "builtin"):
            return self.replaced_result(operation, value, args[1:], kwargs)
        if not any(value is lent for lent in self.lent):
            raise PermissionError("not an object that was lent")
        if operation == "call":
            return value(*args[1:], **kwargs)
        if operation in ("iter", "next"):
            return (iter if operation == "iter" else next)(value)
        own = type(value).__module__ == "__main__"
        if own and operation in ("attr", "set") and not str(args[1]).startswith("_"):
            return (getattr if operation == "attr" else setattr)(*args)
        raise AttributeError(str(args[1]))

    def replaced_result(self, operation, name, args, kwargs):
        if operation == "stdin" and name in ("read", "readline", "readlines") and "stdin" in self.replaced():
            return getattr(sys.stdin, name)(*args)
        if operation == "builtin" and name in self.builtins and name in self.replaced():
            return self.builtin(name)(*args, **kwargs)
        raise PermissionError("not replaced by the checks")
