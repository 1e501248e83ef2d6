"""Table 2: each metric's mean and standard deviation over seeds, beside the paper's."""

import statistics

from study import grid, methods, paper
from study.results import Results, label
from study.tasks import COLUMNS, SCORED, TASKS

HEADS = {"CoLA_mcc": "CoLA\nMCC", "MNLI_m": "MNLI\nm", "MNLI_mm": "MNLI\nmm",
         "MRPC_acc": "MRPC\nacc", "MRPC_f1": "MRPC\nF1", "QNLI_acc": "QNLI\nacc",
         "QQP_acc": "QQP\nacc", "QQP_f1": "QQP\nF1", "RTE_acc": "RTE\nacc",
         "SST2_acc": "SST-2\nacc", "STSB_pearson": "STS-B\nPC", "STSB_spearman": "STS-B\nSC",
         "WNLI_acc": "WNLI\nacc", "GLUE": "GLUE\nscore"}
BLOCK = 7  # columns side by side in text


class Cell:
    """A metric over seeds, as a percentage."""

    def __init__(self, values):
        self.n = len(values)
        self.mean = statistics.fmean(values) if values else None
        self.sd = statistics.stdev(values) if self.n > 1 else None

    def text(self, seeds):
        if self.mean is None:
            return None
        spread = f" \u00b1 {self.sd:.2f}" if self.sd is not None else ""
        return f"{self.mean:5.2f}{spread}" + (f" [{self.n}]" if self.n < seeds else "")


def scores(results, key):
    """{seed: {column: percentage}} of a method; a metric that is not defined is left out."""
    found = {}
    for name, task in TASKS.items():
        for seed, record in results.of(name, key).items():
            last = record["epochs"][-1]
            for column, metric in task.metrics.items():
                if last.get(metric) is not None:
                    found.setdefault(seed, {})[column] = 100 * last[metric]
    return found


def row(results, key):
    """{column: Cell}. The GLUE score is that of the means; its spread is that of the seeds which
    have all eight tasks."""
    by_seed = scores(results, key)
    cells = {column: Cell([values[column] for values in by_seed.values() if column in values])
             for column in COLUMNS}
    whole = [paper.glue_score(values) for values in by_seed.values()]
    cells["GLUE"] = Cell([score for score in whole if score is not None])
    cells["GLUE"].mean = paper.glue_score({column: cells[column].mean for column in COLUMNS})
    cells["GLUE"].n = min(cells[column].n for name in SCORED for column in TASKS[name].metrics)
    return cells


def make(out, study, methods=None, tasks=None, seeds=None):
    results = Results(out, study, methods, tasks, seeds)
    keys = [method.key for method in methods] if methods else keys_of_table(results)
    columns = columns_of(tasks)
    theirs, n_seeds = paper.table_2(), len(results.seeds)
    rows, numbers = [], []
    for key in keys:
        cells, beside = row(results, key), theirs.get(key, {})
        rows.append([label(key), *(cells[column].text(n_seeds) for column in columns)])
        if beside:
            rows.append(["  the paper", *(f"{beside[column]:5.2f}" for column in columns)])
        values = [key, label(key)]
        for column in columns:
            cell = cells[column]
            values += [cell.mean and round(cell.mean, 4), cell.sd and round(cell.sd, 4),
                       cell.n or None, beside.get(column)]
        numbers.append(values)
    head = ["method", "label", *(f"{column}{part}" for column in columns
                                 for part in ("", "_sd", "_seeds", "_paper"))]
    return grid.Grid("table-2", "Table 2: results on GLUE's dev sets, in percent",
                     ["Method", *(HEADS[column] for column in columns)], rows,
                     notes(results, n_seeds), (head, numbers), BLOCK, str.ljust)


def columns_of(tasks):
    """Of the tasks that were asked for: without a choice all of them, and their score."""
    if tasks is None:
        return [*COLUMNS, "GLUE"]
    chosen = {column for task in tasks for column in task.metrics}
    return [column for column in COLUMNS if column in chosen]


def keys_of_table(results):
    return methods.in_order({*methods.TABLE_2, *results.keys(methods.TABLE_2)}, methods.TABLE_2)


def notes(results, n_seeds):
    return [f"Ours: {results.made_with()} Scores of the last epoch, mean \u00b1 standard deviation "
            f"over {n_seeds} seed{'' if n_seeds == 1 else 's'}; [n]: over n seeds alone. The "
            "paper's: DistilBERT, 5 epochs, mean of five seeds. GLUE: the mean of eight tasks' "
            f"means, without WNLI. {grid.GAP}: not measured.", *results.notes()]
