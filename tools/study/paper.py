"""The paper's figures: table1.csv and table2.csv beside this file, and its GLUE score."""

import csv
import pathlib

from study import methods
from study.tasks import SCORED, TASKS

FOLDER = pathlib.Path(__file__).resolve().parent


def read(name):
    """{method's key: {column: number}}"""
    with open(FOLDER / name, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {methods.find(row["method"]).key:
            {column: float(value) for column, value in row.items() if column != "method"}
            for row in rows}


def table_1():
    return read("table1.csv")


def table_2():
    return read("table2.csv")


def glue_score(values):
    """The mean of the eight tasks' means, of {column: number or None}; None unless all are
    there."""
    means = []
    for name in SCORED:
        found = [values.get(column) for column in TASKS[name].metrics]
        if any(value is None for value in found):
            return None
        means.append(sum(found) / len(found))
    return sum(means) / len(means)
