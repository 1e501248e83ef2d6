"""How each method's curve looks in every picture: a colour that the colour-blind tell apart, and a
dash and a mark, so that it is known when printed grey."""

from typing import NamedTuple


class Look(NamedTuple):
    colour: str
    dash: str
    mark: int  # gnuplot's number of it; 0: none
    width: float = 1.8


SOLID, DASHED, DOTTED, MIXED = "solid", "(9,4)", "(2,3)", "(9,3,2,3)"
LOOKS = {
    "full": Look("#000000", SOLID, 0, 2.0),
    "far-10": Look("#0072B2", DASHED, 5),
    "bitfit": Look("#E69F00", DOTTED, 6, 2.2),
    "adapter-256": Look("#009E73", MIXED, 8),
    "parallel-512": Look("#56B4E9", DASHED, 10),
    "freeze-ffn": Look("#CC79A7", MIXED, 13),
    "learner-8-p0": Look("#999933", DOTTED, 4, 2.2),
    "learner-8-p2": Look("#999933", SOLID, 5),
    "learner-64-p0": Look("#D55E00", DOTTED, 6, 2.2),
    "learner-64-p2": Look("#D55E00", SOLID, 7, 2.4),
    "learner-256-p0": Look("#332288", DOTTED, 8, 2.2),
    "learner-256-p2": Look("#332288", SOLID, 9),
    "lora-64": Look("#882255", DASHED, 2),
}
# Of methods that are not the paper's, by their order.
OTHERS = [Look(colour, dash, mark) for colour, dash, mark in (
    ("#661100", DASHED, 1), ("#117733", MIXED, 2), ("#6699CC", SOLID, 3), ("#AA4499", DOTTED, 12))]


def looks(keys):
    """{key: Look}"""
    others = [key for key in keys if key not in LOOKS]
    return {key: LOOKS.get(key) or OTHERS[others.index(key) % len(OTHERS)] for key in keys}
