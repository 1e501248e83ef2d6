"""Table 1: parameters, seconds and peak memory of each method on one task, each phase and the
whole, beside the paper's and as ratios to the baseline."""

import statistics

from study import grid, methods, paper
from study.fault import Fault, wrong_use
from study.methods import BASELINE, TABLE_1
from study.results import Results, label
from study.words import count

GB, MILLION = 1e9, 1e6
TASK = "CoLA"  # the paper's
MOST_NAMED = 6  # runs in the line that refuses them
COLUMNS = ["Method", "params\nM", "trained\nM", "time\ns", "time\nratio", "plan\nGB",
           "plan\nratio", "process\nGB", "process\nratio", "paper's\nparams M",
           "paper's\ntrained M", "paper's\ntime min", "paper's\ntime ratio",
           "paper's\npeak GB", "paper's\npeak ratio"]
NUMBERS = ["method", "label", "phase", "total_params", "trained_params", "steps", "seconds",
           "seconds_ratio", "planned_bytes", "planned_ratio", "weights_bytes", "gradients_bytes",
           "moments_bytes", "activations_bytes", "process_peak_bytes", "process_ratio", "runs",
           "paper_total_params_M", "paper_trained_params_M", "paper_time_min", "paper_time_ratio",
           "paper_peak_memory_GB", "paper_memory_ratio"]


class Figures:
    """What one method took: the mean over its timed runs, of the whole and of each phase."""

    def __init__(self, records):
        self.n, last = len(records), records[-1]
        self.total, self.steps = last["total"], last["steps"]
        self.phases = [Phase([record["phases"][i] for record in records])
                       for i in range(len(last["phases"]))]
        self.trained = self.phases[-1].trained  # as the paper counts
        self.seconds = statistics.fmean(record["seconds"] for record in records)
        self.planned = max(phase.planned for phase in self.phases)
        self.process = max(record["peak_rss_bytes"] for record in records)


class Phase:
    def __init__(self, lines):
        last = lines[-1]
        self.trained, self.steps = last["trained"], last["steps"]
        self.seconds = statistics.fmean(line["seconds"] for line in lines)
        self.parts = [last[f"{part}_bytes"] for part in ("weights", "gradients", "moments",
                                                         "activations")]
        self.planned = max(line["planned_bytes"] for line in lines)


# ---- which runs ----

def choose_task(results, tasks):
    if tasks and len(tasks) > 1:
        raise wrong_use("--table 1 is of one task: give --tasks one name")
    if tasks:
        return tasks[0].name
    if TASK in results.runs or not results.runs:
        return TASK
    if len(results.runs) > 1:
        raise wrong_use(f"--table 1 is of one task, and {TASK} was not run: give --tasks one of "
                        f"{', '.join(results.runs)}")
    return next(iter(results.runs))


def timed(results, task, keys):
    """({method's key: records}, the machines). Where a method has runs, but none that had the
    machine to itself, and where machines differ, the times mean nothing."""
    found, refused = {}, []
    for key in keys:
        records = results.of(task, key)
        good = [record for _, record in sorted(records.items()) if record["timed"]]
        if good:
            found[key] = good
        refused += [f"{key} seed {seed} ({why(record)})" for seed, record in
                    sorted(records.items()) if not good]
    if refused:
        more = f" and {len(refused) - MOST_NAMED} more" if len(refused) > MOST_NAMED else ""
        raise Fault(f"table 1: {count(len(refused), 'run')} of {task} had no machine to themselves;"
                    f" make them anew with --timed: {', '.join(refused[:MOST_NAMED])}{more}")
    machines = {(record["parts"][0]["processor"], record["parts"][0]["threads"])
                for records in found.values() for record in records}
    if len(machines) > 1:
        names = " and on ".join(f"{name} with {count(threads, 'thread')}"
                                for name, threads in sorted(machines))
        raise Fault(f"table 1: the timed runs of {task} were made on {names}: their times can't be "
                    "compared")
    return found, machines


def why(record):
    if len(record["parts"]) > 1:
        return "stopped and gone on"
    return f"{record['parts'][0]['jobs']} at a time"


# ---- the table ----

def make(out, study, methods=None, tasks=None, seeds=None):
    results = Results(out, study, methods, tasks, seeds)
    task = choose_task(results, tasks)
    keys = [method.key for method in methods] if methods else keys_of_table(results, task)
    found, machines = timed(results, task, keys)
    figures = {key: Figures(records) for key, records in found.items()}
    if BASELINE not in figures and (records := results.of(task, BASELINE)):
        baseline = [record for record in records.values() if record["timed"]]
        figures[BASELINE] = Figures(baseline) if baseline else None
    rows, numbers = [], []
    for key in keys:
        mine, values = lines(key, figures.get(key), figures.get(BASELINE))
        rows += mine
        numbers += values
    title = f"Table 1: parameters, time and memory of training on {task}"
    return grid.Grid("table-1", title, COLUMNS, rows, notes(results, task, machines),
                     (NUMBERS, numbers))


def keys_of_table(results, task):
    return methods.in_order({*TABLE_1, *results.runs.get(task, {})},
                            [*TABLE_1, *methods.TABLE_2])


def lines(key, ours, base):
    """The rows of a method: the whole, and each phase where there are two."""
    theirs = paper_line(key)
    beside = [grid.number(value, decimals) for value, decimals in
              zip(theirs, (2, 2, 2, 2, 3, 2))]
    if ours is None:
        return ([[label(key), *[None] * 8, *beside]],
                [[key, label(key), "whole", *[None] * 14, *theirs]])
    process = grid.ratio(ours.process, base and base.process)
    rows = [cells(label(key), ours.total, ours, base)
            + [grid.number(ours.process / GB, 3), grid.number(process, 2), *beside]]
    numbers = [[key, label(key), "whole", *values(ours, base), *[None] * 4, ours.process,
                rounded(process), ours.n, *theirs]]
    for n, phase in enumerate(ours.phases, 1):
        row = [*cells(f"  phase {n}", None, phase, base), *[""] * 8]
        row[1] = ""
        if len(ours.phases) > 1:
            rows.append(row)
        numbers.append([key, label(key), n, *values(phase, base), *phase.parts,
                        *[None] * 2, ours.n, *[None] * 6])
    return rows, numbers


def step_ratio(what, base):
    """Of a step's seconds: for the whole, that of all seconds."""
    if not base or not what.steps:
        return None
    return grid.ratio(what.seconds / what.steps, base.seconds / base.steps)


def cells(name, total, what, base):
    return [name, total and grid.number(total / MILLION, 3),
            grid.number(what.trained / MILLION, 3), grid.number(what.seconds, 1),
            grid.number(step_ratio(what, base), 2), grid.number(what.planned / GB, 3),
            grid.number(grid.ratio(what.planned, base and base.planned), 2)]


def values(what, base):
    return [getattr(what, "total", None), what.trained, what.steps, round(what.seconds, 3),
            rounded(step_ratio(what, base)), what.planned,
            rounded(grid.ratio(what.planned, base and base.planned))]


def rounded(value):
    return None if value is None else round(value, 4)


def paper_line(key):
    """The paper's parameters in millions, minutes and gigabytes, with its ratios."""
    table = paper.table_1()
    line, base = table.get(key), table[BASELINE]
    if not line:
        return [None] * 6
    ratios = [rounded(line[name] / base[name]) for name in ("time_min", "peak_memory_GB")]
    return [line["total_params_M"], line["trained_params_M"], line["time_min"], ratios[0],
            line["peak_memory_GB"], ratios[1]]


def notes(results, task, machines):
    where = "".join(f" on {name} with {count(threads, 'thread')}" for name, threads in machines)
    return [f"Ours: {results.made_with()} Timed{where}, one run at a time; mean over seeds. "
            "Trained: in the last phase, as the paper counts. Time: of the training steps, without "
            "loading and scoring; a phase's ratio is that of a step's time. Plan: weights, "
            "gradients, moments and activations at their peak. Process: peak resident memory.",
            "The paper's: DistilBERT on CoLA, 20 epochs, on a Jetson Xavier NX; its peak memory is "
            f"the allocator's. {grid.GAP}: not measured.", *results.notes()]
