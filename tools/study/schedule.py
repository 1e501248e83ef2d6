"""Makes the runs of a study, so many at a time, each as a process of finetune."""

import math
import signal
import time

from study.children import Child, Interrupts
from study.clock import Clock, clock_text, seconds_text
from study.fault import Fault, printable
from study.logs import Tail
from study.tasks import TASKS
from study.words import count

POLL = 0.05  # seconds


class UnderWay:
    """A run whose process is at work."""

    def __init__(self, run, steps):
        self.run, self.steps, self.child = run, steps, None
        self.tail = Tail(run.folder / "log.jsonl")
        self.first = 0  # steps made before this process

    def parts(self):
        """What a clock wants: the run, the part of it done, by this process, its seconds."""
        self.tail.look()
        made = max(0, self.tail.step - self.first)
        return (self.run, min(self.tail.step / self.steps, 1.0), min(made / self.steps, 1.0),
                time.monotonic() - self.child.started)


class Schedule:
    """plan: what is to be done, and with what: see study/plan.py."""

    def __init__(self, plan, locks, progress):
        self.plan, self.locks, self.progress = plan, locks, progress
        self.waiting, self.under_way = list(plan.to_do), []
        self.failed = []  # runs
        self.done = len(plan.runs) - len(plan.to_do)
        self.clock = Clock(plan.settings["epochs"],
                           {name: f.rows for name, f in plan.files.items()})
        self.interrupts = Interrupts()
        for run, record in plan.records:
            part = record["parts"][-1]
            if record["process_seconds"] and part["jobs"] == plan.jobs:
                self.clock.add(run, record["process_seconds"], 1.0)

    def work(self):
        """Makes all runs. Whatever happens, no process is left behind."""
        with self.interrupts:
            try:
                while self.waiting or self.under_way:
                    self.turn()
            finally:
                while self.under_way:
                    self.interrupts.times = max(self.interrupts.times, 1)
                    self.turn()
                self.progress.erase()

    def turn(self):
        if self.interrupts.times:
            self.waiting.clear()
        while self.waiting and len(self.under_way) < self.plan.jobs:
            self.start(self.waiting.pop(0))
        time.sleep(POLL)
        for each in list(self.under_way):
            if self.interrupts.times:
                each.child.interrupt(self.interrupts.times)
            ended = each.child.ended()
            if ended:
                self.under_way.remove(each)
                self.end(each.run, *ended)
        self.show()

    # ---- one run ----

    def start(self, run):
        p = self.plan
        steps = math.ceil(p.files[run.task].rows / p.settings["batch_size"])
        each = UnderWay(run, steps * p.settings["epochs"])
        try:
            goes_on = run.prepare(p.study, p.jobs, p.threads, p.computer, p.timed)
            command = run.command(p.finetune, p.model, p.files[run.task].folder, p.place,
                                  p.threads, p.save_every, goes_on)
            each.tail.look()
            each.first = each.tail.step
            each.child = Child(command, run.folder, self.locks)
            self.under_way.append(each)
        except (Fault, OSError) as fault:
            self.fail(run, str(fault))

    def end(self, run, code, seconds, peak):
        try:
            run.end_part(seconds, peak)
            if code == 0 and run.finish(self.plan.keep_models):
                self.done += 1
                self.clock.add(run, seconds, 1.0)
                self.tell(run)
            elif self.interrupts.times and code in (0, -signal.SIGINT, -signal.SIGKILL):
                run.leave(self.plan.study)
            else:
                self.fail(run, ending(run, code))
        except (Fault, OSError, ValueError, LookupError) as fault:
            self.fail(run, f"{type(fault).__name__}: {fault}")

    def fail(self, run, message):
        message = printable(message)
        self.failed.append(run)
        try:
            run.fail(self.plan.study, message)
        except (Fault, OSError):
            pass  # a full disk, as the message says already
        self.progress.warn(f"{run} failed: {message}")

    # ---- telling ----

    def left(self):
        left = self.clock.left(self.waiting, [each.parts() for each in self.under_way],
                               self.plan.jobs)
        return f", {clock_text(left)} left" if left is not None else ""

    def tell(self, run):
        record = run.record(self.plan.study)
        last = record["epochs"][-1]
        scores = ", ".join(f"{name} {last[name]:.4f}" for name in TASKS[run.task].metrics.values()
                           if last.get(name) is not None)
        self.progress.line(f"{run}: {scores or 'no score'}, {seconds_text(record['seconds'])}; "
                           f"{self.done} of {count(len(self.plan.runs), 'run')}{self.left()}")

    def show(self):
        if not self.progress.due():
            return
        text = f"{self.done}/{count(len(self.plan.runs), 'run')}"
        if self.failed:
            text += f", {len(self.failed)} failed"
        if self.interrupts.times:
            self.progress.draw(self.part(), f"{text}, stopping: checkpoints are being saved")
            return
        if self.under_way:
            each = self.under_way[0]
            more = f" and {len(self.under_way) - 1} more" if len(self.under_way) > 1 else ""
            text += (f", {each.run} epoch {each.tail.epoch + 1}/{self.plan.settings['epochs']}"
                     f"{more}")
        self.progress.draw(self.part(), text + self.left())

    def part(self):
        """Of all work, what is done."""
        work = sum(self.clock.work(run) for run in self.plan.runs)
        todo = sum(self.clock.work(run) for run in self.waiting)
        todo += sum((1 - each.parts()[1]) * self.clock.work(each.run) for each in self.under_way)
        return 1 - todo / work if work else 1.0


def ending(run, code):
    """Why a process that did not do its work ended, in words."""
    said = run.error()
    if code == 0:
        return "it was stopped from outside; its checkpoint is kept"
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        memory = ": was there too little memory?" if -code == signal.SIGKILL else ""
        return f"killed by {name}{memory}"
    return said or f"ended with exit status {code}"
