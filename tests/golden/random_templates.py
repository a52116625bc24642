"""Random Jinja templates for test_jinja.py. `python3 random_templates.py PROBE COUNT SEED` compares COUNT templates and prints
the number that raise, and every difference."""

import collections
import copy
import json
import random
import subprocess
import sys

VARIABLES = {
    "s": " Hello, World <b> ", "u": "Größe ßtraße Ωμέγα 你好 😀", "e": "", "n": 7, "m": -3, "z": 0, "x": 2.5, "y": 1e20,
    "yes": True, "no": False, "nil": None, "xs": [3, 1, 2, 1], "ws": ["b", "A", "c", "a"], "none_list": [],
    "d": {"b": 1, "a": [1, {"k": "v'\n\""}], "items": "shadow", "C": None},
    "ms": [{"role": "system", "content": " S "}, {"role": "user", "content": "Hi\n"},
           {"role": "assistant", "content": "<think>\na\n</think>\n\nb", "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1.0}}}]},
           {"role": "user", "content": "ß <b>"}],
}
NAMES = list(VARIABLES) + ["missing"]
STRINGS = ["''", "'a'", "'b c'", '"\\n"', "'\\t\\\\ \\''", "'</think>'", "'%s'", "'%05.1f|%d'", "'{0} {1!r:>5}'", "'é你'", "' '", "','"]
BINARY = ["+", "-", "*", "/", "//", "%", "**", "~", "and", "or", "==", "!=", "<", "<=", ">", ">=", "in", "not in"]
FILTERS = ["upper", "lower", "trim", "title", "capitalize", "length", "count", "list|tojson", "first", "last", "join(', ')", "join", "tojson",
           "tojson(indent=2)", "tojson(ensure_ascii=True)", "int", "float", "abs", "round", "round(1)", "round(1,'floor')", "string", "default('D')",
           "default('D', true)", "replace('a','X')", "replace('l','L',1)", "sort|list", "sort(reverse=true)|list", "unique|list", "reverse|list", "sum",
           "min", "max", "dictsort", "items|list", "batch(2)|list", "slice(2)|list", "map('upper')|list", "map(attribute='role')|list",
           "selectattr('role','equalto','user')|list", "rejectattr('tool_calls','defined')|map(attribute='content')|join('|')", "select('odd')|list",
           "reject('none')|list", "groupby('role')|list", "indent(2)", "indent(3,true)", "truncate(5)", "truncate(8,true,'…',0)", "center(12)", "wordcount",
           "escape", "e", "safe", "urlencode", "striptags", "filesizeformat", "format(1, 2)", "attr('role')", "string|length", "map('length')|sum", "list",
           "select|list", "sort(attribute='role')|map(attribute='content')|list", "xmlattr", "d(1)", "length|string", "map('string')|join"]
TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "mapping", "iterable", "sequence", "boolean", "true", "false", "odd",
         "even", "divisibleby 3", "divisibleby(2)", "lower", "upper", "in xs", "in ['a', 1]", "eq 7", "gt 2", "lessthan(3)", "sameas true", "callable",
         "filter", "equalto('a')", "not none", "not defined", "escaped", "ne 'a'"]
METHODS = ["strip()", "strip('\\n ')", "lstrip()", "rstrip('\\n')", "split()", "split(' ')", "split(' ', 1)", "split('</think>')[-1]", "rsplit(' ', 1)",
           "rsplit(None, 1)", "upper()", "lower()", "title()", "capitalize()", "swapcase()", "casefold()", "startswith('a')", "endswith(('b', ' '))", "find('l')", "rfind('l')", "count('l')",
           "index('H')", "replace('a', '')", "replace('', '-')", "join(ws)", "splitlines()", "splitlines(true)", "partition(' ')", "rpartition(',')",
           "removeprefix(' ')", "removesuffix('b')", "zfill(9)", "center(9, '*')", "ljust(5)", "rjust(30)", "isdigit()", "isalpha()", "isspace()",
           "isupper()", "islower()", "istitle()", "isalnum()", "expandtabs(4)", "format(1, 'z', k=2)", "get('b')", "get('q', 5)", "keys()|list", "values()|list", "items()|list",
           "index(1)", "count(1)", "isidentifier()", "isnumeric()", "isascii()", "items", "role", "content", "a", "b", "append(1)", "pop()", "is_integer()", "real"]
SUBSCRIPTS = ["[0]", "[-1]", "[1:]", "[:-1]", "[::-1]", "[::2]", "[-3:-1]", "[1:3:2]", "['role']", "['a']", "['items']", "[9]", "[none]", "[n]", "[s]", "[:n]", "[5:1:-2]"]


class Typed:
    """Expressions whose operands have the required types, so that most of them do not raise."""

    def __init__(self, rng):
        self.rng = rng

    def pick(self, *choices):
        return self.rng.choice(choices)

    def text(self, depth):
        r = self.rng
        if depth <= 0:
            return self.pick("s", "u", "e", "'a b'", "'</think>'", "ms[0].role", "ms[2].content", "d['b']|string", "'\\n x'")
        t, n = (lambda: self.text(depth - 1)), (lambda: self.number(depth - 1))
        method = self.pick("strip()", "lstrip()", "rstrip()", "strip(' \\n')", "upper()", "lower()", "title()", "capitalize()", "swapcase()", "casefold()",
                           "replace('a', 'bc')", "replace('', '-')", "removeprefix(' ')", "zfill(12)", "center(20, '*')", "ljust(9)", "expandtabs(3)",
                           "split('</think>')[-1]", "split('</think>')[0]", "rsplit(' ', 1)[0]", "partition(' ')[2]", "join(['a', 'b'])")
        filter = self.pick("trim", "upper", "lower", "title", "capitalize", "replace('l', 'L')", "indent(2)", "indent(1, true)", "truncate(9)", "center(15)",
                           "escape", "urlencode", "striptags", "default('D')", "string", "reverse", "e|safe", "tojson", "first|string", "list|join('|')")
        return self.pick(t, lambda: f"{t()} + {t()}", lambda: f"({t()}) ~ {self.any(depth - 1)}", lambda: f"({t()}).{method}", lambda: f"({t()})|{filter}",
                         lambda: f"({t()}){r.choice(['[1:]', '[:-1]', '[::-1]', '[:3]', '[-4:]', '[1:9:2]'])}",
                         lambda: f"({t()} if {self.boolean(depth - 1)} else {t()})", lambda: f"({n()})|string", lambda: f"({self.items(depth - 1)})|join(', ')",
                         lambda: f"({self.any(depth - 1)})|tojson", lambda: f"({self.any(depth - 1)})|string", lambda: f"'%s|%s' % ({t()}, {n()})",
                         lambda: f"'{{}}-{{:>5}}'.format({n()}, {t()})")()

    def number(self, depth):
        if depth <= 0:
            return self.pick("n", "m", "z", "x", "3", "-1", "2.5", "xs[0]", "1e3", "ms|length")
        e = lambda: self.number(depth - 1)
        return self.pick(e, lambda: f"({e()} {self.pick('+', '-', '*')} {e()})", lambda: f"({e()} {self.pick('//', '%', '/')} {self.pick('3', '-2', '2.5')})",
                         lambda: f"({self.text(depth - 1)})|length", lambda: f"({self.items(depth - 1)})|length", lambda: f"({e()})|{self.pick('abs', 'int', 'float', 'round', 'round(1)')}",
                         lambda: f"({self.text(depth - 1)}).{self.pick('find', 'count', 'rfind')}('l')", lambda: f"(-{e()})")()

    def items(self, depth):
        if depth <= 0:
            return self.pick("xs", "ws", "ms", "none_list", "[1, 'a']", "range(4)|list", "d.keys()|list", "d.values()|list")
        e, any = (lambda: self.items(depth - 1)), (lambda: self.any(depth - 1))
        filter = self.pick("reverse|list", "list", "map('string')|list", "select|list", "batch(2)|list", "slice(2)|list", "map('string')|sort|list", "map('string')|unique|list")
        return self.pick(e, lambda: f"[{any()}, {any()}]", lambda: f"({self.text(depth - 1)}).{self.pick('split()', 'splitlines()', 'split(None, 1)')}", lambda: f"({e()}) + ({e()})",
                         lambda: f"({e()}){self.pick('[1:]', '[::-1]', '[:2]')}", lambda: f"({e()})|{filter}")()

    def boolean(self, depth):
        test = self.pick("defined", "string", "number", "mapping", "iterable", "sequence", "none", "boolean", "undefined", "not none")
        if depth <= 0:
            return self.pick("yes", "no", "missing is defined", "n > 3", "'a' in ws", "s")
        e = lambda: self.boolean(depth - 1)
        return self.pick(e, lambda: f"({e()} {self.pick('and', 'or')} {e()})", lambda: f"not {e()}", lambda: f"({self.any(depth - 1)}) is {test}",
                         lambda: f"({self.number(depth - 1)}) {self.pick('<', '>=', '==')} ({self.number(depth - 1)})", lambda: f"({self.text(depth - 1)}) in ({self.text(depth - 1)})",
                         lambda: f"({self.text(depth - 1)}).{self.pick('startswith', 'endswith')}({self.pick(repr('a'), repr(' '))})", lambda: f"({self.any(depth - 1)}) == ({self.any(depth - 1)})",
                         lambda: f"({self.any(depth - 1)}) in ({self.items(depth - 1)})")()

    def any(self, depth):
        return self.pick(self.text, self.text, self.number, self.items, self.boolean, lambda depth: self.pick("d", "nil", "missing", "ms[0]", "none", "(1, 'x')", "{'k': n, 'q': s}"))(depth)


class Generator:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.typed = Typed(self.rng)
        self.tame = False  # applies to this template: only typed expressions

    def one_of(self, *choices):
        return self.rng.choice(choices)()

    def atom(self):
        r = self.rng
        return self.one_of(lambda: r.choice(NAMES), lambda: r.choice(NAMES), lambda: r.choice(STRINGS),
                           lambda: r.choice(["0", "1", "2", "-1", "1.5", "1e3", "0x1F", "1_000", "true", "none", "False", "0.1", "3.0", "1e16", "1e-5"]))

    def expression(self, depth):
        r, e = self.rng, lambda: self.expression(depth - 1)
        if self.tame or r.random() < 0.3:
            return self.typed.any(depth)
        if depth <= 0:
            return self.atom()
        return self.one_of(
            self.atom,
            lambda: f"{e()} {r.choice(BINARY)} {e()}",
            lambda: f"({e()} {r.choice(BINARY)} {e()})",
            lambda: f"({e()})|{r.choice(FILTERS)}",
            lambda: f"{r.choice(NAMES)}|{r.choice(FILTERS)}",
            lambda: f"({e()}) is {r.choice(TESTS)}",
            lambda: f"({e()}).{r.choice(METHODS)}",
            lambda: f"{r.choice(NAMES)}.{r.choice(METHODS)}",
            lambda: f"({e()}){r.choice(SUBSCRIPTS)}",
            lambda: f"{r.choice(NAMES)}{r.choice(SUBSCRIPTS)}",
            lambda: f"({e()} if {e()} else {e()})",
            lambda: f"({e()} if {e()})",
            lambda: f"not {e()}",
            lambda: f"-{e()}",
            lambda: f"[{e()}, {e()}]",
            lambda: f"({e()}, {e()})",
            lambda: "{" + f"'k': {e()}, {self.atom()}: {e()}" + "}",
            lambda: f"range({r.randint(-2, 5)}, {r.randint(-2, 8)})|list",
            lambda: f"dict(a={e()}, b=1)",
            lambda: f"{self.atom()} {r.choice(['<', '<=', '=='])} {self.atom()} {r.choice(['<', '!=', 'in'])} {self.atom()}",
        )

    def space(self):
        return self.rng.choice(["", " ", "\n", "\n  ", "  \n", "x", "text\n", "\t", "\n\n", " - ", "\r\n", "}", "{", "\u3000"])

    def tag(self, body):
        r = self.rng
        return "{%" + r.choice(["", "", "-", "+"]) + f" {body} " + r.choice(["", "", "-", "+"]) + "%}" + self.space()

    def output(self, depth):
        r = self.rng
        return "{{" + r.choice(["", "", "-"]) + f" {self.expression(depth)} " + r.choice(["", "", "-"]) + "}}" + self.space()

    def statement(self, depth):
        r, e = self.rng, lambda: self.expression(2)
        body = lambda: self.body(depth - 1)
        target = lambda: r.choice(["v", "w", "ns.a", "ns.b"] if self.tame else ["v", "w", "n", "s", "ns.a", "ns.b"])
        if depth <= 0:
            return self.output(2)
        return self.one_of(
            lambda: self.output(3), lambda: self.output(2), lambda: self.output(2),
            lambda: self.tag(f"set {target()} = {e()}"),
            lambda: self.tag(f"set {target()}") + body() + self.tag("endset"),
            lambda: self.tag("set v | upper | trim") + body() + self.tag("endset"),
            lambda: self.tag(f"set v, w = {e()}, {e()}"),
            lambda: self.tag(f"if {e()}") + body() + self.tag("endif"),
            lambda: self.tag(f"if {e()}") + body() + self.tag(f"elif {e()}") + body() + self.tag("else") + body() + self.tag("endif"),
            lambda: self.loop(body), lambda: self.loop(body),
            lambda: self.tag("macro f(p, q=" + e() + ")") + "{{ p }}{{ q }}" + body() + self.tag("endmacro") + "{{ f(" + e() + ") }}{{ f(1, q=2) }}",
            lambda: self.tag("macro g()") + "[{{ caller(1) if caller else '' }}{{ varargs }}{{ kwargs }}]" + self.tag("endmacro")
            + self.tag("call(p) g(1, k=" + e() + ")") + "{{ p }}" + body() + self.tag("endcall"),
            lambda: self.tag("filter upper") + body() + self.tag("endfilter"),
            lambda: self.tag(f"with v = {e()}, w = v") + body() + self.tag("endwith"),
            lambda: "{#" + r.choice(["", "-"]) + " note " + r.choice(["", "-"]) + "#}" + self.space(),
            lambda: self.tag("raw") + "{{ x }}{% if %}" + self.space() + self.tag("endraw"),
            lambda: self.tag("generation") + body() + self.tag("endgeneration"),
            lambda: self.tag(f"print {e()}, {e()}"),
            lambda: self.tag("block b" + str(r.randint(0, 10**9))) + body() + self.tag("endblock"),
        )

    def loop(self, body):
        r, e = self.rng, lambda: self.expression(1)
        head = r.choice(["for v in xs", "for m in ms", "for k, v in d.items()", "for v in ms if v.role == 'user'", "for v in range(3)", "for c in s",
                         f"for v in {self.typed.items(2)}"] if self.tame else ["for v in xs", "for m in ms", f"for v in {e()}", "for k, v in d.items()", "for v in ms if v.role == 'user'",
                         "for v in xs if v != ns.a", "for v in range(3)", "for k, v in d|dictsort", "for v in xs|reverse", "for c in s"])
        extra = r.choice(["", "{{ loop.index }}", "{{ loop.last }}{{ loop.first }}", "{{ loop.length }}{{ loop.revindex0 }}", "{{ loop.previtem }}|{{ loop.nextitem }}",
                          "{{ loop.cycle('a', 'b') }}", "{{ loop.changed(v) }}", self.tag(f"if {e()}") + self.tag(r.choice(["break", "continue"])) + self.tag("endif"),
                          self.tag("set ns.a = v"), self.tag("set n = n + 1") + "{{ n }}", "{{ loop.depth }}{{ loop.index0 }}"])
        other = r.choice(["", self.tag("else") + "none"])
        return self.tag(head) + extra + body() + other + self.tag("endfor")

    def body(self, depth):
        return self.space() + "".join(self.statement(depth) for _ in range(self.rng.randint(1, 2)))

    def template(self):
        self.tame = self.rng.random() < 0.6
        return "{% set ns = namespace(a=1, b='') %}" + "".join(self.statement(self.rng.randint(1, 3)) for _ in range(self.rng.randint(1, 3)))


def reference(template):
    """The result of transformers' environment: a text, or None if it raises."""
    from transformers.utils.chat_template_utils import _cached_compile_jinja_template as compile_template
    try:
        return compile_template(template).render(**copy.deepcopy(VARIABLES))  # |indent changes a list
    except RecursionError:
        raise
    except Exception:
        return None


def comparable(text):
    """False for texts that are not compared: addresses of objects and texts of unsupported size."""
    return text is None or (" object at 0x" not in text and " of <" not in text and "<function" not in text and "<built-in" not in text
                            and "<bound method" not in text and "LoopContext" not in text and len(text) < 100_000)


def unlike_by_design(message):
    """True for intended differences: limits, and slices of values that cannot be sliced. jinja2 computes slices of literals while
    it compiles, and they are undefined there."""
    return any(part in message for part in ("128 bits", "not supported", "written into the text", "too large", "too many steps", "range of floats",
                                            "nests too deeply",
                                            "not subscriptable by a slice"))


def markup_templates():
    """Every filter, method, subscript, test and operator on texts that are markup, and on mixtures of markup and plain text."""
    texts = ["((u ~ '<b> x-y')|e)", "('a%s b'|safe)", "('L'|e)", "('12'|e)", "('a<,b c'|e)"]
    expressions = [f"{text}|{filter}" for text in texts for filter in FILTERS]
    expressions += [f"{text}.{method}" for text in texts for method in METHODS]
    expressions += [text + subscript for text in texts for subscript in SUBSCRIPTS]
    expressions += [f"{text} is {test}" for text in texts for test in TESTS]
    expressions += [f"(xs|map('string')|map('e')|list)|{filter}" for filter in FILTERS]
    operands = ["('a<'|e)", "'<b>'", "('%s'|e)", "'%s'", "3", "2.5", "xs", "(1, '<')", "d", "nil", "missing"]
    expressions += [f"{a} {operator} {b}" for operator in BINARY for a in operands for b in operands]
    expressions += ["('%s|%s'|e) % (1, '<')", "('%s'|e)|format('<')", "('{0}<{k}'|e).format('<', k='>')", "('<'|e).join(['<', 'a'|e])",
                    "'<'.join(['<'|e])", "['<', 'a'|e]|join('<')", "['<', 'a'|e]|join('<'|e)", "('a'|e)|replace('a', '<')",
                    "('a'|e).replace('a', '<')", "('a'|e).replace('a', '<'|e)", "('a'|e).ljust(5, '<')", "('a'|e).rjust(5, '<'|safe)",
                    "('a'|e).center(5, '<')", "('a'|e)|default('<')", "''|e|default('<', true)", "('<p>a &amp; b</p>'|safe)|striptags",
                    "{'a': '<'}|xmlattr|upper", "('x'|e) ~ 3 ~ '<'", "('x'|e) ~ 'a'", "('ab'|e)|reverse", "('a'|e)|forceescape"]
    return ["{{ [%s] }}" % expression for expression in expressions]


def compare(probe, count, seed):
    """Renders `count` random templates with both; gives the counts, and (template, ours, theirs) for each difference."""
    generator = Generator(seed)
    return compare_all(probe, [generator.template() for _ in range(count)])


def compare_all(probe, templates):
    requests = "".join(json.dumps({"template": t, "variables": VARIABLES}) + "\n" for t in templates)
    done = subprocess.run([probe], input=requests.encode(), stdout=subprocess.PIPE, timeout=3000, check=True)
    answers = [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]
    assert len(answers) == len(templates)
    counts, differences = collections.Counter(), []
    for template, ours in zip(templates, answers):
        theirs = reference(template)
        counts["raises" if theirs is None else "renders"] += 1
        if not comparable(theirs) or (theirs is not None and "error" in ours and unlike_by_design(ours["error"])):
            counts["not compared"] += 1
        elif ours.get("text") != theirs:
            differences.append((template, ours, theirs))
    return counts, differences


if __name__ == "__main__":
    total = collections.Counter()
    for part in range(0, int(sys.argv[2]), 2000):
        counts, differences = compare(sys.argv[1], min(2000, int(sys.argv[2]) - part), int(sys.argv[3]) + part)
        total += counts
        total["different"] += len(differences)
        for difference in differences:
            print(json.dumps(difference, ensure_ascii=False))
    print(dict(total))
