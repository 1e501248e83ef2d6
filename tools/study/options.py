"""The command line as the other programs have it: a table of options, their help, strict values and
one line for each error. tools/cli.c says the same in C."""

import math
import re
import textwrap

from study.fault import wrong_use
from study.words import nearest, plain

WIDTH = 80


class Option:
    """One line of the table. kind: 'flag', 'text', 'int' or 'real'; choices: of a text, those that
    it takes; shown: the default in the help; also: what the option is called elsewhere, for
    guesses."""

    def __init__(self, name, metavar, text, default=None, kind="text", least=0, most=math.inf,
                 shown=None, also="", choices=None):
        self.name, self.metavar, self.text, self.default = name, metavar, text, default
        self.kind, self.least, self.most, self.also = kind, least, most, also.split()
        self.choices = choices
        self.shown = shown if shown is not None else default

    def describe(self):
        return f"--{self.name}{' ' + self.metavar if self.metavar else ''}"

    def range(self):
        what = "a whole number" if self.kind == "int" else "a number"
        if math.isinf(self.most):
            return f"{what} of {self.least} or more"
        return f"{what} from {self.least} to {self.most}"

    def value(self, text):
        if self.kind == "text":
            if not text:
                raise wrong_use(f"--{self.name} needs a value, found an empty one")
            if self.choices and text not in self.choices:
                raise wrong_use(f"--{self.name} is one of {', '.join(self.choices)}, found '{text}'")
            return text
        form = r"[+-]?\d+" if self.kind == "int" else r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
        if re.fullmatch(form, text, re.ASCII):
            value = int(text) if self.kind == "int" else float(text)
            if self.least <= value <= self.most:
                return value
        raise wrong_use(f"--{self.name} takes {self.range()}, found '{text}'")


def flag(name, text, also=""):
    return Option(name, None, text, False, "flag", also=also)


class Program:
    """groups: [(title, [Option, ...]), ...]"""

    def __init__(self, name, usage, description, groups, examples, version):
        self.name, self.usage, self.description = name, usage, description
        self.groups, self.examples, self.version = groups, examples, version
        self.options = {o.name: o for _, options in groups for o in options}

    # ---- help ----

    def help(self):
        ends = ("All programs", [flag("help", "print this and end"),
                                 flag("version", "print the version and end")])
        column = 4 + max(len(o.describe()) for o in self.options.values())
        lines = [f"usage: {self.name} {self.usage}", "",
                 *textwrap.wrap(self.description, WIDTH, break_on_hyphens=False)]
        for title, options in [*self.groups, ends]:
            lines += ["", f"{title}:"]
            for o in options:
                shown = f" ({o.shown:g})" if isinstance(o.shown, float) else (
                    f" ({o.shown})" if o.shown not in (None, False) else "")
                text = textwrap.wrap(o.text + shown, WIDTH - column, break_on_hyphens=False)
                lines.append(f"  {o.describe():{column - 4}}  {text[0]}")
                lines += [" " * column + more for more in text[1:]]
        lines += ["", "Examples:", *self.examples, "",
                  "Exit status: 0 done, 1 failed, 2 wrong use."]
        return "\n".join(lines) + "\n"

    # ---- reading ----

    def unknown(self, typed):
        word = typed.split("=")[0]
        for option in self.options.values():
            if plain(word) in map(plain, option.also):
                return wrong_use(f"unknown option '{word}': did you mean '--{option.name}'?")
        guess = nearest(word, [*self.options, "help", "version"])
        if guess:
            return wrong_use(f"unknown option '{word}': did you mean '--{guess}'?")
        return wrong_use(f"unknown option '{word}': see '{self.name} --help'")

    def parse(self, arguments):
        """(values by name, the names that were given, other arguments). Values that may be given
        more than once are lists: the last one stands unless the caller looks at all of them.
        None for --help and --version, once they are printed."""
        given, rest, queue = {}, [], list(arguments)
        while queue:
            word = queue.pop(0)
            if word in ("--help", "-h"):
                print(self.help(), end="")
                return None
            if word == "--version":
                print(f"{self.name} (primer) {self.version()}")
                return None
            if word == "--":
                rest += queue
                break
            if not word.startswith("-") or word == "-":
                rest.append(word)
                continue
            name, equals, text = word[2:].partition("=")
            option = self.options.get(name) if word.startswith("--") else None
            if not option:
                raise self.unknown(word)
            if option.kind == "flag":
                if equals:
                    raise wrong_use(f"'--{name}' takes no value")
                given[name] = True
                continue
            if not equals:
                if not queue:
                    raise wrong_use(f"--{name} needs a value: {option.describe()}")
                text = queue.pop(0)
            given[name] = option.value(text)
        values = {name: option.default for name, option in self.options.items()}
        return {**values, **given}, set(given), rest
