"""What the checks of glue share: a small GLUE, studies of it, and what they leave."""

import json

from tools_harness import make_rows

# Rows and epochs are few; the learner's flip is after two of three epochs.
STUDY = ["model.gguf", "--data", "glue", "--lr", "1e-3", "--epochs", "3"]
CHOICE = ["--tasks", "CoLA,RTE", "--methods", "full,learner-8-p2"]


def make_glue(tools, train=60, dev=16):
    """model.gguf, and the folder glue with CoLA and RTE as they are downloaded."""
    tools.make_model()
    for name, n, seed in (("train.tsv", train, 1), ("dev.tsv", dev, 2)):
        rows = make_rows(n, seed)
        tools.write(f"glue/CoLA/{name}",
                    "".join(f"gj04\t{int(label == 'yes')}\t\t{text}\n" for text, label in rows))
        word = {"yes": "entailment", "no": "not_entailment"}
        tools.write(f"glue/RTE/{name}", "index\tsentence1\tsentence2\tlabel\n" + "".join(
            f"{i}\t{text}\tthe cat\t{word[label]}\n" for i, (text, label) in enumerate(rows)))


def glue(tools, *more, code=0):
    """A study in the folder study, of CHOICE unless more says otherwise."""
    return tools.run("glue", *STUDY, "--out", "study", *CHOICE, *more, code=code)


def run_folder(tools, task, method, seed, out="study"):
    return tools / out / "runs" / task / method / f"seed-{seed}"


def record_of(tools, task, method, seed, out="study"):
    return json.loads((run_folder(tools, task, method, seed, out) / "run.json").read_text())


def losses_of(tools, task, method, seed, out="study"):
    return (run_folder(tools, task, method, seed, out) / "losses.txt").read_text().split()


# What depends on the load, and on the number of threads, each of which has scratch memory.
UNSHARED = {"seconds", "process_seconds", "peak_rss_bytes", "parts", "timed", "activations_bytes",
            "planned_bytes"}


def without_times(value):
    """A record without what no two runs share."""
    if isinstance(value, dict):
        return {name: without_times(part) for name, part in value.items() if name not in UNSHARED}
    if isinstance(value, list):
        return [without_times(part) for part in value]
    return value


def results_of(tools, out="study"):
    """Losses and records of all finished runs, by their places, without times."""
    found = {}
    for path in (tools / out / "runs").rglob("run.json"):
        record = without_times(json.loads(path.read_text()))
        found[str(path.parent.relative_to(tools / out))] = (
            record, (path.parent / "losses.txt").read_text())
    return found
