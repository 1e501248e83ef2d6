"""How long a study will take, from what its runs have taken. A run's work is its texts, times their
tokens, times its epochs; what was measured of the same task and method counts before what was
measured of the method on other tasks, and that before everything else."""

import math

from study.tasks import TASKS


class Clock:
    def __init__(self, epochs, texts):
        """texts: of the training sets, by task."""
        self.epochs, self.texts = epochs, texts
        self.spent = {}  # what was measured of a group of runs: [seconds, work]

    def copy(self):
        other = Clock(self.epochs, self.texts)
        other.spent = {group: list(pair) for group, pair in self.spent.items()}
        return other

    def work(self, run):
        return self.texts[run.task] * TASKS[run.task].tokens * self.epochs

    @staticmethod
    def groups(run):
        return (run.task, run.method.key), run.method.key, None

    def add(self, run, seconds, part):
        """Notes that a part of the run, of 1, took so long."""
        for group in self.groups(run):
            pair = self.spent.setdefault(group, [0.0, 0.0])
            pair[0] += seconds
            pair[1] += part * self.work(run)

    def expect(self, run):
        """Seconds of the whole run; None before anything was measured."""
        for group in self.groups(run):
            seconds, work = self.spent.get(group, (0.0, 0.0))
            if work > 0:
                return seconds / work * self.work(run)
        return None

    def left(self, waiting, under_way, jobs):
        """Seconds until all are done, jobs at a time; None before anything was measured.
        under_way: [(run, part done, part done by this process, its seconds), ...]"""
        now = self.copy()
        for run, _, made, seconds in under_way:
            if made > 0:
                now.add(run, seconds, made)
        rest = [(now.expect(run), 1 - part) for run, part, _, _ in under_way]
        rest += [(now.expect(run), 1) for run in waiting]
        if any(whole is None for whole, _ in rest):
            return None
        each = [whole * part for whole, part in rest]
        return max([math.fsum(each) / jobs, *each], default=0.0)


def seconds_text(seconds):
    """'9.31 s', '3 min 05 s', '2 h 07 min'"""
    if seconds < 99.95:
        return f"{seconds:.{2 if seconds < 9.995 else 1}f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole // 60 % 60:02} min"


def clock_text(seconds):
    """'3:05', '2:07:40'"""
    whole = round(seconds)
    hours = f"{whole // 3600}:" if whole >= 3600 else ""
    return f"{hours}{whole // 60 % 60:0{2 if hours else 1}}:{whole % 60:02}"
