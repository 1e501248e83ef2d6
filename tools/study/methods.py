"""The methods that a study compares: how each is called, and finetune's options for it."""

import re
from typing import NamedTuple

from study.words import plain, split_list, unknown


class Method(NamedTuple):
    key: str      # in commands and paths: learner-64-p2
    label: str    # in tables and figures, the paper's: Learner64 (p=2)
    options: list  # of finetune


def learner(rank, prime):
    return Method(f"learner-{rank}-p{prime}", f"Learner{rank} (p={prime})",
                  ["--learner", rank, "--prime", prime])


def far(percent):
    return Method(f"far-{percent}", f"FAR{percent}", ["--method", "far", "--retain", percent])


def adapter(size):
    label = "Sequential Adapters" + ("" if size == "256" else f" ({size})")
    return Method(f"adapter-{size}", label, ["--method", "adapter", "--size", size])


def parallel(size):
    label = "Parallel Adapters" + ("" if size == "512" else f" ({size})")
    return Method(f"parallel-{size}", label, ["--method", "parallel", "--size", size])


def lora(rank):
    return Method(f"lora-{rank}", f"LoRA{rank}",
                  ["--method", "lora", "--size", rank, "--alpha", rank])


FIXED = [Method("full", "Baseline", ["--method", "full"]),
         Method("bitfit", "BitFit", ["--method", "bitfit"]),
         Method("freeze-ffn", "Freeze FFNs", ["--method", "freeze-ffn"])]
# Sizes other than the paper's may be asked for.
NUMBER = r"([1-9]\d{0,4})"
SIZED = [(re.compile(form.replace("N", NUMBER)), make) for form, make in (
    (r"learner-N-p(0|[1-9]\d{0,4})", learner), ("far-N", far), ("adapter-N", adapter),
    ("parallel-N", parallel), ("lora-N", lora))]

# Rows of the paper's tables, and curves of its figures, in their order.
TABLE_2 = ["full", "far-10", "bitfit", "adapter-256", "parallel-512", "freeze-ffn",
           *(f"learner-{rank}-p{prime}" for rank in (8, 64, 256) for prime in (0, 2))]
TABLE_1 = ["full", "far-10", "adapter-256", "parallel-512", "freeze-ffn", "bitfit",
           "learner-64-p2"]
BASELINE = "full"
KNOWN = [*TABLE_2, "lora-64"]


def make(key):
    """The method of that key, or None."""
    for method in FIXED:
        if method.key == key:
            return method
    for form, of_size in SIZED:
        match = form.fullmatch(key)
        if match:
            return of_size(*match.groups())
    return None


# What the paper's tables call them.
PAPER_NAMES = {"adapter": "adapter-256", "sequentialadapter": "adapter-256",
               "paralleladapter": "parallel-512"}
PAPER_NAMES.update({plain(make(key).label): key for key in KNOWN})
PAPER_NAMES.update({plain(key): key for key in KNOWN})


def find(name):
    """By key, or as the paper's tables call it; None if there is none."""
    return make(name.lower()) or make(PAPER_NAMES.get(plain(name), ""))


def choose(text):
    """The methods of --methods, in the order of Table 2 for 'all'."""
    keys = []
    for word in split_list("--methods", text):
        if word == "all":
            keys += TABLE_2
            continue
        method = find(word)
        if not method:
            raise unknown("method", word, [*KNOWN, "all"])
        keys.append(method.key)
    return [make(key) for key in dict.fromkeys(keys)]


def in_order(keys, first):
    """The keys, those of the list `first` before the others."""
    keys = set(keys)
    return [key for key in dict.fromkeys(first) if key in keys] + sorted(keys - set(first))
