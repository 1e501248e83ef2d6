"""One run of a study, a training of one method on one task with one seed, as it lies in the
results folder: runs/TASK/METHOD/seed-S/ with run.json (what it was made with and what came of it)
and losses.txt (the loss of each step). Until it has ended, begun.json says what it is made with,
and log, checkpoint and messages lie beside it."""

import math
import platform
import re

from study import files, methods, settings
from study.fault import Fault, printable
from study.logs import Log, cut_broken_line
from study.tasks import TASKS

DONE, FAILED, BEGUN, TO_DO = "done", "failed", "begun", "to do"
# All else in a run's folder goes when it has ended, and when it is stopped.
RESULT = frozenset({"run.json", "losses.txt", "model.gguf"})
TO_GO_ON = RESULT | {"begun.json", "log.jsonl", "checkpoint"}


def processor():
    """The processor's name, for comparing times; empty where the system does not tell."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            found = re.search(r"^(?:model name|Hardware)\s*:\s*(.*)$", file.read(), re.M)
    except OSError:
        found = None
    return " ".join(found[1].split()) if found else platform.machine()


def settings_words(made):
    """A study's settings as finetune takes them."""
    return ["--epochs", made["epochs"], "--lr", repr(made["lr"]), "--batch-size",
            made["batch_size"], "--max-length", made["max_length"], "--precision",
            made.get("precision", settings.PLAIN)]


class Run:
    def __init__(self, out, task, method, seed):
        self.task, self.method, self.seed = task, method, seed
        self.folder = out / "runs" / task / method.key / f"seed-{seed}"

    def __str__(self):
        return f"{self.task} {self.method.key} seed {self.seed}"

    # ---- what is known of it ----

    def record(self, study):
        """What run.json says of a run that was made with the study's settings, or None."""
        record = files.read_json(self.folder / "run.json")
        return record if record and self.belongs(record, study) else None

    def belongs(self, record, study):
        made = record.get("configuration", {})
        wanted = settings.of_run(study, self.task)
        return all(made.get(name) == value for name, value in wanted.items())

    def begun(self, study):
        """What begun.json says of an unfinished run that can go on, or None."""
        record = files.read_json(self.folder / "begun.json")
        there = all((self.folder / name).exists() for name in ("checkpoint", "log.jsonl"))
        return record if record and there and self.belongs(record, study) else None

    def has_come_far(self):
        """Whether it has a result, or a checkpoint, whatever it was made with."""
        record = files.read_json(self.folder / "run.json")
        return (record or {}).get("state") == DONE or (self.folder / "checkpoint").exists()

    def state(self, study):
        record = self.record(study)
        if record and record["state"] == DONE:
            return DONE
        if record:
            return FAILED
        return BEGUN if self.begun(study) else TO_DO

    def losses(self):
        try:
            with open(self.folder / "losses.txt", encoding="ascii") as file:
                return [float(line) for line in file]
        except (OSError, ValueError) as fault:
            raise Fault(f"{self.folder / 'losses.txt'}: {fault}") from fault

    # ---- making it ----

    def prepare(self, study, jobs, threads, computer, anew):
        """Makes the folder ready; returns whether the run goes on from its checkpoint."""
        record = None if anew else self.begun(study)
        goes_on = record is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.state(study) == FAILED:
            (self.folder / "run.json").unlink()
        self.clear(TO_GO_ON if goes_on else RESULT)
        if goes_on:
            cut_broken_line(self.folder / "log.jsonl")
        else:
            configuration = {**settings.of_run(study, self.task),
                             "model": study["settings"]["model"],
                             "options": [str(word) for word in self.method.options]}
            record = {"task": self.task, "method": self.method.key, "seed": self.seed,
                      "configuration": configuration, "parts": []}
        record["parts"].append({"jobs": jobs, "threads": threads, "processor": computer})
        files.write_json(self.folder / "begun.json", record)
        return goes_on

    def clear(self, keep=RESULT):
        """Takes away what unfinished runs have left, such as a part of a checkpoint whose process
        was killed while it was written."""
        for path in self.folder.iterdir():
            if path.is_file() and path.name not in keep:
                path.unlink()

    def command(self, finetune, model, data, place, threads, save_every, goes_on):
        """finetune's, to be run in the folder."""
        made = files.read_json(self.folder / "begun.json")["configuration"]
        return [str(word) for word in (
            finetune, model, "--task", self.task, "--data", data, *self.method.options,
            "--seed", self.seed, *settings_words(made), *place, "--threads", threads, "--out", "tuned.gguf", "--checkpoint", "checkpoint",
            "--save-every", save_every, "--log", "log.jsonl", "--json", "--quiet",
            *(["--resume", "checkpoint"] if goes_on else []))]

    def end_part(self, seconds, peak):
        """Notes what a process of the run took: seconds, and bytes of resident memory."""
        record = files.read_json(self.folder / "begun.json")
        record["parts"][-1].update(seconds=round(seconds, 2), peak_rss_bytes=peak)
        files.write_json(self.folder / "begun.json", record)

    def leave(self, study):
        """Leaves log and checkpoint of a run that has not come to its end, but not if it was made
        anew: then the earlier result stands. Returns whether anything is left."""
        anew = self.state(study) == DONE
        self.clear(RESULT if anew else TO_GO_ON | {"stderr"})
        return not anew

    def fail(self, study, message):
        """Notes a failure."""
        if not self.leave(study):
            return
        begun = files.read_json(self.folder / "begun.json") or {}
        files.write_json(self.folder / "run.json", {**begun, "state": FAILED, "message": message})

    def error(self):
        """The last line that finetune printed on stderr."""
        text = (self.folder / "stderr").read_text(encoding="utf-8", errors="replace")
        lines = text.strip().splitlines()
        return printable(re.sub(r"^finetune: ", "", lines[-1])) if lines else ""

    def finish(self, keep_model):
        """Puts the log together into run.json and losses.txt. Returns False, with nothing done,
        if the log is that of a run which is not at its end."""
        log = Log(self.folder / "log.jsonl")
        begun = files.read_json(self.folder / "begun.json")
        if not log.is_whole(begun["configuration"]["epochs"]):
            return False
        record = summarize(begun, log)
        text = "".join("nan\n" if math.isnan(loss) else f"{loss:.5g}\n" for loss in log.losses)
        files.write(self.folder / "losses.txt", text)
        files.write_json(self.folder / "run.json", record)
        if keep_model:
            (self.folder / "tuned.gguf").replace(self.folder / "model.gguf")
        self.clear()
        return True


def is_timed(parts):
    """Whether the run had the machine to itself from start to end."""
    return len(parts) == 1 and parts[0]["jobs"] == 1


def summarize(begun, log):
    """What run.json says of a finished run."""
    parts, phases = begun["parts"], log.phase_lines()
    peaks = [part["peak_rss_bytes"] for part in parts if "peak_rss_bytes" in part]
    whole = all("seconds" in part for part in parts)
    return {**begun, "state": DONE, "timed": is_timed(parts),
            "total": phases[0]["total"], "steps": len(log.losses), "tokens": sum(log.tokens),
            "seconds": round(math.fsum(log.seconds), 3),
            "process_seconds": round(sum(p["seconds"] for p in parts), 2) if whole else None,
            "peak_rss_bytes": max(peaks), "phases": phases, "epochs": log.epoch_lines()}


# ---- all of them ----

def choose(out, tasks, chosen, seeds):
    """A seed after another, so that every method and task has a result early."""
    return [Run(out, task, method, seed)
            for seed in seeds for task in tasks for method in chosen]


def found(out):
    """The runs that lie in a results folder, those of other people's names left out."""
    runs = []
    for folder in sorted((out / "runs").glob("*/*/seed-*")):
        method = methods.make(folder.parent.name)
        seed = folder.name.removeprefix("seed-")
        if folder.parent.parent.name in TASKS and method and seed.isdecimal():
            runs.append(Run(out, folder.parent.parent.name, method, int(seed)))
    return runs
