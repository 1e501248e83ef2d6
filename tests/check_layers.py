#!/usr/bin/env python3
"""The rules of the tree that no compiler sees: which layer may include which, how long a file may
be, what the library may not call, where a method may be named. Prints each breach as
PATH:LINE: RULE. Usage: check_layers.py ROOT, a git checkout."""

import pathlib
import re
import subprocess
import sys

LAYERS = ["graph", "backends", "ops", "autograd", "models", "train", "tools"]
LIBRARY = LAYERS[:-1]
ENGINE = ["graph", "backends", "ops", "autograd"]
# Which settings two runs must share is the one thing that training says of a method.
NAMES_SETTINGS = "train/checkpoint.c"
TOP = {*LAYERS, "tests", "CMakeLists.txt", "README.md", "LICENSE"}
MOST_LINES = 500
# Data, not source: what other people's software gave, lists, and a study's results.
DATA = re.compile(r"^tests/golden/(?!.*\.(py|h)$)|^tools/study/minilm/"
                  r"|\.(tsv|csv|jsonl|txt)$|^LICENSE$")
ENDS = re.compile(r"(?<!\w)(printf|vprintf|puts|putchar|perror|abort|exit|_exit|_Exit|quick_exit"
                  r"|assert|err|errx|warn|warnx)\s*\(|\b(stdout|stderr)\b")
METHODS = re.compile(r"(?<![a-z])(learners?|lora|prim(?:e|ed|ing)|adapters?|bitfit|freeze.ffns?"
                     r"|(?-i:FAR)|(?<=\")far(?=\"))(?![a-z])", re.I)
# A method is told from another by what it says of itself, never by which it is.
BRANCHES = re.compile(r"method\s*[!=]=|[!=]=\s*&?[\w.>-]*method|str\w*cmp\([^;]*method"
                      r"|(?:if|switch)\s*\(\s*!?\w*(?:->|\.)?method\s*\)")
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
COMMENT_OR_TEXT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'
                             r"'(?:\\.|[^'\\\n])*'", re.S)


def blank(text):
    """The same lines with nothing in them."""
    return re.sub(r"[^\n]", " ", text)


def code_of(source, keep_text):
    """Without comments and, unless they are asked for, without what stands in quotes."""
    def replace(match):
        part = match.group()
        return part if keep_text and part[0] in "\"'" else blank(part)
    return COMMENT_OR_TEXT.sub(replace, source)


class Tree:
    def __init__(self, root):
        self.root, self.breaches = root, []
        listed = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=root,
                                capture_output=True, text=True, check=True).stdout
        self.paths = sorted(p for p in listed.split("\0") if p and (root / p).is_file())

    def breach(self, path, line, rule):
        self.breaches.append(f"{path}:{line}: {rule}")

    def each_match(self, pattern, path, text, rule):
        for number, line in enumerate(text.split("\n"), 1):
            for match in pattern.finditer(line):
                self.breach(path, number, rule.format(match.group().rstrip("( ")))

    def check_top(self):
        for top in sorted({p.split("/")[0] for p in self.paths}):
            if top not in TOP and not top.startswith("."):
                self.breach(top, 1, "the top level holds " + ", ".join(sorted(TOP))
                            + " and dotfiles alone")

    def check_text(self, path, source):
        lines = source.count("\n")
        if lines > MOST_LINES:
            self.breach(path, lines, f"a file has at most {MOST_LINES} lines")
        self.each_match(UNFINISHED, path, source, "'{}': finish it, or leave it out")

    def check_includes(self, path, source, layer):
        allowed = LAYERS[:LAYERS.index(layer) + 1] if layer in LAYERS else LAYERS + ["tests"]
        for number, line in enumerate(source.split("\n"), 1):
            found = re.match(r'\s*#\s*include\s*"([^"]*)"', line)
            if not found:
                continue
            of = found.group(1).split("/")[0]
            if of not in LAYERS + ["tests"] or not (self.root / found.group(1)).is_file():
                self.breach(path, number, f"'{found.group(1)}' is no header of the tree, named "
                            "from its root")
            elif of not in allowed:
                self.breach(path, number, f"{layer}/ includes '{found.group(1)}', which lies above "
                            "it: " + " -> ".join(reversed(LAYERS)))

    def check_source(self, path, source):
        layer = path.split("/")[0]
        self.check_includes(path, code_of(source, True), layer)
        if layer in LIBRARY:
            self.each_match(ENDS, path, code_of(source, False),
                            "'{}': the library neither prints nor ends the process")
        if layer in ENGINE:
            self.each_match(METHODS, path, source, "'{}': the engine knows no method")
        if layer in ENGINE or layer == "train":
            self.each_match(BRANCHES, path, code_of(source, False), "'{}': no branch on a method")
        if layer == "train" and path != NAMES_SETTINGS:
            self.each_match(METHODS, path, code_of(source, True),
                            "'{}': training knows no method but by pr_method's functions")

    def check_vectors(self, sources):
        """See PR_VECTOR in backends/simd.h."""
        seen = {}
        for path, source in sources.items():
            for match in re.finditer(r"PR_VECTOR\s+static\s+[\w\s*]*?(\w+)\(", source):
                name, line = match.group(1), source.count("\n", 0, match.start()) + 1
                if name in seen:
                    self.breach(path, line, f"PR_VECTOR function '{name}' is in {seen[name]} too")
                seen[name] = path

    def check_guards(self, sources):
        """Whoever includes one of two headers with the same guard does not get the other."""
        seen = {}
        for path, source in sources.items():
            guard = re.search(r"^#ifndef (\w+_C?U?H)$", source, re.M) if path.endswith("h") else None
            if not guard:
                continue
            if guard.group(1) in seen:
                self.breach(path, 1, f"the guard {guard.group(1)} is {seen[guard.group(1)]}'s too")
            seen[guard.group(1)] = path

    def check(self):
        self.check_top()
        sources = {}
        for path in self.paths:
            if DATA.search(path):
                continue
            try:
                text = (self.root / path).read_text(encoding="utf-8")
            except UnicodeDecodeError:
                self.breach(path, 1, "a source is UTF-8")
                continue
            self.check_text(path, text)
            if re.search(r"\.(c|h|cu|cuh|cpp)$", path):
                sources[path] = text
                self.check_source(path, text)
        self.check_vectors(sources)
        self.check_guards(sources)
        return len(sources)


def main():
    tree = Tree(pathlib.Path(sys.argv[1]))
    sources = tree.check()
    print("\n".join(tree.breaches) or f"{sources} sources keep the rules")
    if tree.breaches or sources < 100:
        sys.exit(1)


if __name__ == "__main__":
    main()
