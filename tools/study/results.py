"""The finished runs of a results folder, for tables and figures."""

from study import runs
from study.methods import in_order, make
from study.words import count


class Results:
    """runs: {task: {method's key: {seed: record}}}, of the methods, tasks and seeds that were
    chosen; None chooses all that are there."""

    def __init__(self, out, study, methods=None, tasks=None, seeds=None):
        self.study, self.settings, self.others = study, study["settings"], 0
        keys = methods and {method.key for method in methods}
        names = tasks and {task.name for task in tasks}
        self.runs, self.places = {}, {}
        self.seeds = set()
        for run in runs.found(out):
            if (keys and run.method.key not in keys or names and run.task not in names
                    or seeds and run.seed not in seeds):
                continue
            self.seeds.add(run.seed)
            record = run.record(study)
            if record and record["state"] == runs.DONE:
                place = self.runs.setdefault(run.task, {}).setdefault(run.method.key, {})
                place[run.seed] = record
                self.places[run.task, run.method.key, run.seed] = run
            elif not record and (run.folder / "run.json").exists():
                self.others += 1

    def of(self, task, key):
        """{seed: record}"""
        return self.runs.get(task, {}).get(key, {})

    def keys(self, first):
        """The methods that have results, those of the list first."""
        found = {key for by_method in self.runs.values() for key in by_method}
        return in_order(found, first)

    def made_with(self):
        s = self.settings
        return (f"{s['model']}, {count(s['epochs'], 'epoch')}, batches of {s['batch_size']}, "
                f"learning rate {s['lr']:g}.")

    def notes(self):
        if not self.others:
            return []
        return [f"Left out: {count(self.others, 'run')} made with other settings than these."]


def label(key):
    return make(key).label
