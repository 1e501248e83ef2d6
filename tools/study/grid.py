"""A table as text, Markdown and CSV. What is not known is a dash in the first two and nothing in
the third, never a zero."""

import csv
import io
import textwrap

from study import files

WIDTH = 100  # of the notes in text
GAP = "\u2014"


class Grid:
    """name: of its files. columns: titles, of two lines or one; the first column is of names.
    rows: cells of text; None is a gap, '' stays empty. numbers: (columns, rows) of the CSV. block:
    columns that stand side by side in text; align: how."""

    def __init__(self, name, title, columns, rows, notes, numbers, block=99,
                 align=str.rjust):
        self.name, self.title, self.columns, self.rows = name, title, columns, rows
        self.notes, self.numbers, self.block, self.align = notes, numbers, block, align

    @staticmethod
    def cells(row):
        return [GAP if cell is None else cell for cell in row]

    def text(self):
        heads = [[column.rpartition("\n")[part] for column in self.columns] for part in (0, 2)]
        lines = [self.title]
        for first in range(1, len(self.columns), self.block):
            pick = [0, *range(first, min(first + self.block, len(self.columns)))]
            rows = [[self.cells(row)[i] for i in pick] for row in [*heads, *self.rows]]
            widths = [max(len(row[i]) for row in rows) for i in range(len(pick))]
            drawn = ["  ".join([row[0].ljust(widths[0]), *map(self.align, row[1:], widths[1:])])
                     .rstrip() for row in rows]
            lines += ["", *drawn[:2], "-" * (sum(widths) + 2 * len(widths) - 2), *drawn[2:]]
        for note in self.notes:
            lines += ["", *textwrap.wrap(note, WIDTH, break_on_hyphens=False)]
        return "\n".join(lines) + "\n"

    def markdown(self):
        lines = [f"**{self.title}**", ""]
        for n, row in enumerate([[c.replace("\n", " ") for c in self.columns], *self.rows]):
            lines.append("| " + " | ".join(cell.strip().replace("|", "\\|")
                                           for cell in self.cells(row)) + " |")
            if n == 0:
                lines.append("|---|" + "---:|" * (len(self.columns) - 1))
        for note in self.notes:
            lines += ["", note]
        return "\n".join(lines) + "\n"

    def csv(self):
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        columns, rows = self.numbers
        writer.writerow(columns)
        writer.writerows(["" if value is None else value for value in row] for row in rows)
        return out.getvalue()

    def write(self, folder):
        for ending, text in (("txt", self.text()), ("md", self.markdown()), ("csv", self.csv())):
            files.write(folder / f"{self.name}.{ending}", text)


def number(value, decimals):
    return None if value is None else f"{value:,.{decimals}f}"


def ratio(value, base):
    return None if value is None or not base else value / base
