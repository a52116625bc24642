#!/usr/bin/env python3
"""Checks the layout of text. Usage: check_format.py [ROOT]; exit code 1 on a violation.

C++ sources are as clang-format 14 writes them and have at most 100 columns, comments included. Prose in Markdown has
at most 100 columns; tables, headings, code, pictures and lines that are one link or one code span may be longer.
"""

import pathlib
import re
import shutil
import subprocess
import sys

COLUMNS = 100
CPP = ("src/**/*.cc", "src/**/*.h", "bench/*.cc", "bench/*.h", "tests/**/*.cc")
GENERATED = {"bench/RESULTS.md", "docs/configuration.md"}
FORMATTERS = ("clang-format-14", "clang-format")


def cpp_files(root):
    return sorted(path for pattern in CPP for path in root.glob(pattern))


def markdown_files(root):
    pages = [*root.glob("*.md"), *root.glob("docs/*.md"), *root.glob("tests/**/*.md")]
    return sorted(page for page in pages if page.relative_to(root).as_posix() not in GENERATED)


def code_lines(text):
    """Numbered lines without those of raw strings, which keep their own layout."""
    end = None
    for number, line in enumerate(text.splitlines(), 1):
        if end is not None:
            end = None if end in line else end
            continue
        raw = re.search(r'R"([^(\s"]*)\(', line)
        if raw is None:
            yield number, line
        elif f'){raw[1]}"' not in line[raw.end():]:
            end = f'){raw[1]}"'


def check_columns(root):
    for path in cpp_files(root):
        for number, line in code_lines(path.read_text()):
            if len(line) > COLUMNS and "http" not in line:
                yield f"{path.relative_to(root)}:{number}: {len(line)} columns (limit {COLUMNS})"


def is_breakable(line):
    """Whether the line has a blank outside code spans and links, behind its indent and list marker."""
    text = re.sub(r"^\s*(?:[-*]|\d+\.)?\s*", "", line)
    return " " in re.sub(r"`[^`]*`|\[[^\]]*\]\([^)]*\)", "x", text)


def check_markdown(root):
    for path in markdown_files(root):
        code = False
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line.lstrip().startswith("```"):
                code = not code
            free = code or line.startswith(("|", "#", "!["))
            if not free and len(line) > COLUMNS and is_breakable(line):
                yield f"{path.relative_to(root)}:{number}: {len(line)} columns (limit {COLUMNS}); wrap it"


def formatter():
    for name in FORMATTERS:
        program = shutil.which(name)
        if program and "version 14." in subprocess.run([program, "--version"], capture_output=True, text=True).stdout:
            return program
    return None


def check_clang_format(root):
    program = formatter()
    if program is None:
        print("clang-format 14 is not installed; the layout of C++ is not checked")
        return
    done = subprocess.run([program, "--dry-run", *map(str, cpp_files(root))], cwd=root, capture_output=True, text=True)
    for path in sorted({line.split(":")[0] for line in done.stderr.splitlines() if ": warning:" in line}):
        yield f"{pathlib.Path(path).relative_to(root)}: run clang-format-14 -i on it"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent).resolve()
    found = [line for check in (check_columns, check_markdown, check_clang_format) for line in check(root)]
    for line in found:
        print(line)
    print(f"format: {len(found)} violations" if found else "format: ok")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
