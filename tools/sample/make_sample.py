#!/usr/bin/env python3
"""Makes train.tsv and dev.tsv, short English sentences labelled acceptable or not, from the
templates and word lists in grammar/.

    tools/sample/make_sample.py [FOLDER]   writes them there, by default beside this script

A template has cells, patterns marked + (acceptable) or - (unacceptable), and fillings, one set of
words for its slots a line. A filling with its template is one group: its sentences differ in order
or form alone, and each word occurs as often in its acceptable sentences as in the others. A group
goes whole into train or into dev, so the two never share a template with the same words.
Order and division come from hashes of the text, which are the same everywhere.
"""
import hashlib
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
LABELS = {"+": "acceptable", "-": "unacceptable"}
DEV_SHARE = 6  # one group in so many of each template


class Group:
    """A template with one filling."""

    def __init__(self, template, filling, sentences):
        self.template = template
        self.filling = filling
        self.sentences = sentences  # pairs of a sentence and its label
        self.side = None


def scramble(*parts):
    return hashlib.sha256("\n".join(parts).encode()).digest()


def sentence_of(pattern, slots):
    words = " ".join(pattern.format(**slots).split())
    for mark in ".,?":
        words = words.replace(" " + mark, mark)
    return words[0].upper() + words[1:]


def groups_of(template, names, cells, fillings):
    groups = []
    for filling in fillings:
        values = [value.strip() for value in filling.split(";")]
        if len(values) != len(names):
            raise ValueError(f"{template}: {len(names)} slots, but {filling}")
        slots = {name: value.split("/") if "/" in value else value
                 for name, value in zip(names, values)}
        sentences = [(sentence_of(pattern, slots), LABELS[mark]) for mark, pattern in cells]
        groups.append(Group(template, filling, sentences))
    groups.sort(key=lambda group: scramble(template, group.filling))
    for k, group in enumerate(groups):
        group.side = "dev" if k < round(len(groups) / DEV_SHARE) else "train"
    return groups


def read_groups():
    groups = []
    for path in sorted((FOLDER / "grammar").glob("*.txt")):
        for block in path.read_text(encoding="utf-8").split("\n[")[1:]:
            lines = block.strip().split("\n")
            template = lines[0].rstrip("]")
            names = [name.strip() for name in lines[1].removeprefix("slots:").split(",")]
            cells = [(line[0], line[2:]) for line in lines[2:] if line[0] in LABELS]
            fillings = [line[2:] for line in lines[2:] if line.startswith("= ")]
            groups += groups_of(template, names, cells, fillings)
    return groups


def text_of(groups, side):
    rows = [row for group in groups if group.side == side for row in group.sentences]
    rows.sort(key=lambda row: scramble(row[0]))
    return "".join(f"{sentence}\t{label}\n" for sentence, label in [("sentence", "label"), *rows])


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    groups = read_groups()
    for side in "train", "dev":
        (folder / f"{side}.tsv").write_bytes(text_of(groups, side).encode())


if __name__ == "__main__":
    main()
