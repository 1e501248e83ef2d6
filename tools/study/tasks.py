"""GLUE's tasks: their files, their metrics, and what the paper's figures show of them."""

import hashlib
import pathlib
from typing import NamedTuple

from study.fault import Fault, wrong_use
from study.words import split_list, unknown


class Task(NamedTuple):
    name: str
    metrics: dict  # columns of table2.csv: names in finetune's log
    texts: int     # that it trains on, about
    tokens: int    # of a text, about: what a run may take before one was measured
    figure: int    # the paper's figure of its training loss; 0: none
    epochs: int    # in that figure
    dev: tuple = ("dev.tsv",)

    @property
    def files(self):
        return ("train.tsv", *self.dev)


TASKS = {t.name: t for t in (
    Task("CoLA", {"CoLA_mcc": "mcc"}, 8551, 11, 2, 20),
    Task("MNLI", {"MNLI_m": "accuracy", "MNLI_mm": "accuracy_mm"}, 392702, 39, 3, 5,
         ("dev_matched.tsv", "dev_mismatched.tsv")),
    Task("MRPC", {"MRPC_acc": "accuracy", "MRPC_f1": "f1"}, 3668, 53, 4, 20),
    Task("QNLI", {"QNLI_acc": "accuracy"}, 104743, 51, 5, 5),
    Task("QQP", {"QQP_acc": "accuracy", "QQP_f1": "f1"}, 363846, 30, 6, 5),
    Task("RTE", {"RTE_acc": "accuracy"}, 2490, 70, 7, 20),
    Task("SST-2", {"SST2_acc": "accuracy"}, 67349, 13, 8, 5),
    Task("STS-B", {"STSB_pearson": "pearson", "STSB_spearman": "spearman"}, 5749, 31, 9, 20),
    Task("WNLI", {"WNLI_acc": "accuracy"}, 635, 37, 0, 0))}
SCORED = [name for name in TASKS if name != "WNLI"]  # the eight of the GLUE score
COLUMNS = [column for task in TASKS.values() for column in task.metrics]


def choose(text):
    """The tasks of --tasks, and whether that was 'all'."""
    by_name = {name.lower().replace("-", ""): name for name in TASKS}
    names = []
    for word in split_list("--tasks", text):
        if word == "all":
            names += TASKS
            continue
        name = by_name.get(word.lower().replace("-", ""))
        if not name:
            raise unknown("task", word, [*TASKS, "all"])
        names.append(name)
    return [TASKS[name] for name in dict.fromkeys(names)], text == "all"


class Files(NamedTuple):
    """A task's files as they lie in a folder."""
    folder: pathlib.Path  # from the root, for processes elsewhere
    rows: int     # of the training set, about: lines
    hashes: dict  # SHA-256 by name


def read_file(path):
    """(SHA-256, lines) of a file."""
    digest, lines = hashlib.sha256(), 0
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
                lines += block.count(b"\n")
    except OSError as fault:
        raise Fault(f"{path}: {fault.strerror}") from fault
    return digest.hexdigest(), lines


def look(task, data):
    folder = data / task.name
    found = {name: read_file(folder / name) for name in task.files}
    hashes = {name: digest for name, (digest, _) in found.items()}
    return Files(folder.absolute(), found["train.tsv"][1], hashes)


def missing(task, data):
    """The first file of a task that is not in the folder, or None."""
    for name in task.files:
        if not (data / task.name / name).is_file():
            return data / task.name / name
    return None


def look_for(chosen, data, every):
    """({name: Files}, names of those without files). Only where all tasks are asked for may some be
    missing."""
    if not data.is_dir():
        raise wrong_use(f"--data {data}: no such folder")
    gone = {task.name: path for task in chosen if (path := missing(task, data))}
    if gone and not every:
        name, path = next(iter(gone.items()))
        raise wrong_use(f"--tasks {name}: {path} is missing")
    if len(gone) == len(chosen):
        raise wrong_use(f"--data {data}: no task of GLUE has its files there, such as "
                        f"{next(iter(gone.values()))}")
    return {task.name: look(task, data) for task in chosen if task.name not in gone}, list(gone)
