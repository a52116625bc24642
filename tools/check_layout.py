#!/usr/bin/env python3
"""Checks the rules behind the directory layout. Usage: check_layout.py [ROOT]; exit code 1 on a violation.

The order of the add_subdirectory lines in src/CMakeLists.txt is the dependency order: a folder may include only
itself and those above it. Stages include no other stage, and the kinds of run in loop/ not one another. Torch-free
folders must not include a torch header, directly or through another header. A folder contains at most 16 sources. A
source x.cc has a header x.h; x_part.cc continues x.h; other sources are declared by the door of their folder, the header
named after it. Functions have at most 60 lines. Every source and every test is registered with CMake, and DEPS match the
includes.
"""

import collections
import pathlib
import re
import sys

MAX_LINES = 400
MAX_SOURCES = 16  # per folder, without tests
MAX_FUNCTION = 60  # lines from the signature to the closing brace, tests excepted
STAGES = {"prompts", "rollout", "reward", "sandbox", "replay", "train", "publish"}
STAGES_MAY_USE = {"base", "kernels", "data", "math", "net", "wire", "tokenizer", "model", "datasets"}
# Sub-folders of one folder that must not see the others named.
SUB_FOLDERS_MUST_NOT_USE = {
    "loop/run_folder": {"loop/rl", "loop/offline", "loop/forecast"},
    "loop/rl": {"loop/offline", "loop/forecast"},
    "loop/offline": {"loop/rl", "loop/forecast"},
}
# The longest matching prefix applies; a folder not named here may use torch.
TORCH_FREE = {
    "base": True,
    "kernels": True,
    "data": True,
    "math": True,
    "net": True,
    "wire": True,
    "cluster": True,
    "tokenizer": True,
    "model/format": True,
    "model/merge": True,
    "model/cpu": True,
    "datasets": True,
    "prompts": True,
    "rollout": True,
    "rollout/torch": False,
    "reward": True,
    "reward/learned": False,
    "sandbox": True,
    "curate": True,
    "replay": True,
    "publish/engine": True,
    "train/advantage": True,
    "train/loss": True,
    "config": True,
    "report": True,
    "track": True,
    "server": True,
}
FAT_INCLUDES = {"torch/torch.h", "torch/all.h", "torch/extension.h", "ATen/ATen.h"}
TORCH_PREFIXES = ("torch/", "ATen/", "c10/")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)
CMAKE_CALL = re.compile(r"^\s*(longshot_library|longshot_test|add_executable|target_link_libraries)\s*\(([^)]*)\)", re.M)
DIRECT_JSON = re.compile(r"\bJson::(parse|accept|sax_parse)\(|\.dump\(|\bnlohmann::")
NOT_A_FUNCTION = re.compile(r"(if|for|while|switch|else|do|try|namespace|class|struct|enum|union|extern|return|case|\}|//|#)\b|[})/#]")
LONG_FILES = ("src/**/*", "tests/**/*", "bench/**/*", "tools/**/*")
SOURCE_SUFFIXES = {".cc", ".h", ".py", ".js", ".css", ".html", ".cmake", ".proto"}


class Unit:
    """A library, test or program: its sources (relative to src/), the longshot libraries in its DEPS, its folder."""

    def __init__(self, kind, name, folder):
        self.kind, self.name, self.folder = kind, name, folder
        self.sources, self.deps, self.uses_torch = [], [], False


class Tree:
    def __init__(self, root):
        self.src = root / "src"
        self.files = sorted(p for p in self.src.rglob("*") if p.suffix in {".cc", ".h"})
        self.names = {p.relative_to(self.src).as_posix() for p in self.files}
        self.includes = {p.relative_to(self.src).as_posix(): INCLUDE.findall(p.read_text()) for p in self.files}
        top = (self.src / "CMakeLists.txt").read_text()
        self.order = re.findall(r"^\s*add_subdirectory\(([\w/]+)\)", top, re.M)
        self.units = {}
        for path in sorted(self.src.rglob("CMakeLists.txt")):
            self.read_cmake(path)

    def read_cmake(self, path):
        folder = path.parent.relative_to(self.src).as_posix()
        text = re.sub(r"#.*", "", path.read_text())
        for kind, body in CMAKE_CALL.findall(text):
            words = body.split()
            if kind.startswith("longshot_"):
                self.read_longshot_call(kind, words, folder)
            elif kind == "add_executable":
                unit = self.units.setdefault(words[0], Unit("program", words[0], folder))
                unit.sources += [relative(folder, w) for w in words[1:] if w.endswith(".cc")]
            elif words[0] in self.units:
                self.units[words[0]].deps += [w[len("longshot_"):] for w in words if w.startswith("longshot_")]

    def read_longshot_call(self, kind, words, folder):
        fields, current = {}, None
        for word in words:
            if word in {"NAME", "SRCS", "DEPS", "LIBS", "TIMEOUT", "TORCH"}:
                current = fields.setdefault(word, [])
            elif current is not None:
                current.append(word)
        name = fields["NAME"][0]
        unit = Unit("library" if kind == "longshot_library" else "test", name, folder)
        unit.sources = [relative(folder, w) for w in fields.get("SRCS", [])]
        unit.deps = fields.get("DEPS", [])
        unit.uses_torch = "TORCH" in fields
        self.units[name] = unit

    def libraries(self):
        return [u for u in self.units.values() if u.kind == "library"]

    def closure(self, unit):
        """Names of the libraries that the unit links, including itself."""
        seen, todo = {unit.name}, list(unit.deps)
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo += self.units[name].deps if name in self.units else []
        return seen

    def owners(self, header):
        """The libraries to which a header may belong: the one that compiles its .cc, otherwise those of its folder."""
        source = header.removesuffix(".h") + ".cc"
        exact = {u.name for u in self.libraries() if source in u.sources}
        if exact:
            return exact
        folder = header.rsplit("/", 1)[0]
        while folder:
            here = {u.name for u in self.libraries() if u.folder == folder}
            if here:
                return here
            folder = folder.rpartition("/")[0]
        return set()


def relative(folder, source):
    return source if folder == "." else f"{folder}/{source}"


def top_folder(name):
    return name.split("/", 1)[0]


def is_torch_free(name):
    folder = name.rsplit("/", 1)[0]
    while folder:
        if folder in TORCH_FREE:
            return TORCH_FREE[folder]
        folder = folder.rpartition("/")[0]
    return False


def torch_path(tree, name, seen=None):
    """The chain of includes that leads from `name` to a torch header, or None."""
    seen = seen if seen is not None else set()
    seen.add(name)
    for include in tree.includes[name]:
        if include.startswith(TORCH_PREFIXES):
            return [include]
        if include in tree.names and include not in seen:
            chain = torch_path(tree, include, seen)
            if chain:
                return [include, *chain]
    return None


def check_torch(tree):
    for name, includes in tree.includes.items():
        for fat in FAT_INCLUDES.intersection(includes):
            yield f"src/{name}: includes {fat}; include ATen/core/Tensor.h and ATen/ops/<op>.h instead"
        if is_torch_free(name):
            chain = torch_path(tree, name)
            if chain:
                yield f"src/{name}: a torch-free folder sees a torch header: {' -> '.join(chain)}"
    for unit in tree.libraries():
        if unit.uses_torch and unit.sources and all(is_torch_free(s) for s in unit.sources):
            yield f"src/{unit.folder}/CMakeLists.txt: library {unit.name} is torch-free but says TORCH"


def check_order(tree):
    for name, includes in tree.includes.items():
        folder = top_folder(name)
        if folder not in tree.order:
            yield f"src/{name}: folder {folder} is not in src/CMakeLists.txt"
            continue
        for include in includes:
            other = top_folder(include)
            if include not in tree.names or other == folder or other not in tree.order:
                continue
            if folder in STAGES and other not in STAGES_MAY_USE:
                yield f"src/{name}: stage {folder} includes {include}; a stage knows only {sorted(STAGES_MAY_USE)}"
            elif tree.order.index(other) > tree.order.index(folder):
                yield f"src/{name}: includes {include}, which stands below {folder} in src/CMakeLists.txt"


def check_sub_folders(tree):
    for name, includes in tree.includes.items():
        folder = name.rpartition("/")[0]
        for include in includes:
            if include in tree.names and include.rpartition("/")[0] in SUB_FOLDERS_MUST_NOT_USE.get(folder, ()):
                yield f"src/{name}: includes {include}, which {folder} must not use; what both need is in a folder above"


def check_rooms(tree):
    sources = collections.Counter(name.rpartition("/")[0] for name in tree.names if name.endswith(".cc") and not name.endswith("_test.cc"))
    for folder, count in sources.items():
        if count > MAX_SOURCES:
            yield f"src/{folder}: {count} sources; open a sub-folder (limit {MAX_SOURCES})"


def has_header(tree, source):
    """True for x.cc beside x.h, x_part.cc beside x.h, any source beside the door of its folder, and programs' main."""
    folder, _, file = source.rpartition("/")
    stem = file.removesuffix(".cc")
    words = stem.split("_")
    stems = ["_".join(words[:n]) for n in range(len(words), 0, -1)] + [folder.rpartition("/")[2]]
    return words[-1] == "main" or any(f"{folder}/{s}.h" in tree.names for s in stems)


def check_headers(tree):
    for name in tree.names:
        if name.endswith(".cc") and not name.endswith("_test.cc") and not has_header(tree, name):
            yield f"src/{name}: no header declares it; give it {name.removesuffix('.cc')}.h, or name it after the header it continues"


def signature_end(lines, number):
    """The index of the line that ends the signature which begins at `number`, or None if no body follows."""
    open_brackets = 0
    for index in range(number, min(number + 12, len(lines))):
        open_brackets += lines[index].count("(") - lines[index].count(")")
        if open_brackets == 0:
            followed = index + 1 < len(lines) and lines[index + 1].lstrip().startswith(":")
            if lines[index].endswith("{") or lines[index].endswith(";") or not (followed or lines[index].endswith(",")):
                return index if lines[index].endswith("{") else None
    return None


def functions(lines):
    """Yields (line number, name, lines) of functions at the level of namespaces and classes, by clang-format's layout."""
    starts = {}
    for index, line in enumerate(lines):
        text = line.lstrip(" ")
        indent = len(line) - len(text)
        if text in {"}", "};"} and indent in starts:
            begin, name = starts.pop(indent)
            yield begin + 1, name, index - begin + 1
        elif indent <= 2 and "(" in text and not NOT_A_FUNCTION.match(text) and signature_end(lines, index) is not None:
            starts.setdefault(indent, (index, text.partition("(")[0].split()[-1]))


def check_functions(tree):
    for path in tree.files:
        name = path.relative_to(tree.src).as_posix()
        if name.endswith("_test.cc"):
            continue
        for line, function, count in functions(path.read_text().splitlines()):
            if count > MAX_FUNCTION:
                yield f"src/{name}:{line}: {function} has {count} lines; cut it (limit {MAX_FUNCTION})"


def check_json(tree):
    """nlohmann's own parser rounds large integers and has no depth limit, and its dump throws on invalid UTF-8."""
    for path in tree.files:
        name = path.relative_to(tree.src).as_posix()
        if name in {"base/json.h", "base/json.cc", "base/json_match.cc"} or name.endswith("_test.cc") or path.stem in {"testing"}:
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if DIRECT_JSON.search(line):
                yield f"src/{name}:{number}: parse and dump JSON with the functions of base/json.h"


def check_registered(tree):
    registered = {s for u in tree.units.values() for s in u.sources}
    for name in tree.names:
        if name.endswith(".cc") and name not in registered:
            what = "test" if name.endswith("_test.cc") else "source"
            yield f"src/{name}: {what} is in no CMakeLists.txt, so it is never compiled"
    for unit in tree.units.values():
        for source in unit.sources:
            if source.startswith("$") or "${" in source:
                continue
            if source not in tree.names:
                yield f"src/{unit.folder}/CMakeLists.txt: {unit.name} lists {source}, which does not exist"
            elif source.endswith("_test.cc") and unit.kind != "test":
                yield f"src/{source}: a test compiled into {unit.name}, which ctest does not run"


def unit_includes(tree, unit):
    """Yields (file, header) for every longshot header that the unit's sources and their own headers include."""
    files = set(unit.sources) | {s.removesuffix(".cc") + ".h" for s in unit.sources}
    if unit.kind == "library":
        files |= {n for n in tree.names if n.endswith(".h") and tree.owners(n) == {unit.name}}
    for name in sorted(files & tree.names):
        for include in tree.includes[name]:
            if include in tree.names:
                yield name, include


def reachable(tree, names):
    """Every longshot header that the files include, directly or through others."""
    seen, todo = set(), list(names)
    while todo:
        for include in tree.includes[todo.pop()]:
            if include in tree.names and include not in seen:
                seen.add(include)
                todo.append(include)
    return seen


def is_plain_header(tree, include, folder):
    """A header of the unit's own folder that has no .cc needs no library."""
    return top_folder(include) == folder and include.removesuffix(".h") + ".cc" not in tree.names


def check_deps(tree):
    for unit in tree.units.values():
        where = f"src/{unit.folder}/CMakeLists.txt: {unit.name}"
        linked = tree.closure(unit)
        for name, include in unit_includes(tree, unit):
            owners = tree.owners(include)
            if owners and not owners & linked and not is_plain_header(tree, include, top_folder(unit.folder)):
                yield f"{where}: DEPS lack {' or '.join(sorted(owners))}, needed by src/{name} for {include}"
        # A library that implements an interface of its folder counts as used if the folder is used.
        used = {top_folder(h) for h in reachable(tree, set(unit.sources) & tree.names)}
        for dep in unit.deps:
            if dep not in tree.units and dep not in {"torch", "arrow"}:
                yield f"{where}: DEPS name {dep}, which is no library"
            elif dep in tree.units and top_folder(tree.units[dep].folder) not in used:
                yield f"{where}: DEPS name {dep}, but nothing of it is included"


def check_length(root):
    for pattern in LONG_FILES:
        for path in sorted(root.glob(pattern)):
            if path.suffix in SOURCE_SUFFIXES and path.is_file() and "__pycache__" not in path.parts:
                lines = path.read_text().count("\n")
                if lines > MAX_LINES:
                    yield f"{path.relative_to(root)}: {lines} lines; split it (limit {MAX_LINES})"


def violations(root):
    tree = Tree(root)
    for check in (check_torch, check_order, check_sub_folders, check_rooms, check_headers, check_functions, check_json,
                  check_registered, check_deps):
        yield from check(tree)
    yield from check_length(root)


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent)
    found = sorted(set(violations(root)))
    for line in found:
        print(line)
    print(f"layout: {len(found)} violations" if found else "layout: ok")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
