"""What a command line asks for, checked before anything is written: which runs, made with what."""

import json
import os
import pathlib
import re
import subprocess

from study import runs, settings, tasks
from study.fault import FAILED, Fault, printable, wrong_use
from study.words import count

MOST_SEEDS = 10000


def choose_seeds(text):
    """'3': 0, 1, 2; '0,3', '2-4': those."""
    fault = wrong_use("--seeds takes how many, such as 5, or which, such as 0,3 or 2-4, found "
                      f"'{text}'")
    if re.fullmatch(r"\d{1,18}", text, re.ASCII):
        if not 1 <= int(text) <= MOST_SEEDS:
            raise fault
        return list(range(int(text)))
    seeds = []
    for part in text.removesuffix(",").split(","):
        match = re.fullmatch(r"(\d{1,18})(?:-(\d{1,18}))?", part, re.ASCII)
        if not match:
            raise fault
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last < first + MOST_SEEDS:
            raise fault
        seeds += range(first, last + 1)
    return list(dict.fromkeys(seeds))


def find_finetune(tools):
    """The program, beside this one."""
    path = tools / "finetune"
    if not os.access(path, os.X_OK):
        raise Fault(f"{path} is missing: build it with cmake --build build/release")
    return path


def version(tools):
    done = subprocess.run([find_finetune(tools), "--version"], capture_output=True, text=True,
                          check=False)
    return done.stdout.strip().rpartition(" ")[2]


class Plan:
    """model: a path; options: the command line's; tools: the folder of the programs."""

    def __init__(self, model, options, tools):
        self.model = pathlib.Path(model).absolute()
        self.out = pathlib.Path(options["out"])
        self.finetune = find_finetune(tools)
        self.jobs, self.timed = options["jobs"], options["timed"]
        self.save_every, self.keep_models = options["save-every"], options["keep-models"]
        self.place = ["--backend", options["backend"], "--gpu", options["gpu"]]
        self.threads = max(1, len(os.sched_getaffinity(0)) // self.jobs)
        self.methods = options["methods"]
        data = pathlib.Path(options["data"])
        if not self.model.exists():
            raise Fault(f"{model}: No such file or directory")
        settings.check_folder(self.out)
        self.files, self.missing = tasks.look_for(options["tasks"], data, options["every-task"])
        if options["every-task"]:  # what is wrong shows sooner in small ones
            self.files = dict(sorted(self.files.items(), key=lambda item: item[1].rows))
        self.settings = settings.shared(self.model, version(tools), options)
        self.computer = self.check_model() or runs.processor()
        hashes = {name: f.hashes for name, f in self.files.items()}
        used = {run.task for run in runs.found(self.out) if run.has_come_far()}
        self.study = settings.join(self.out, self.settings, hashes, used, options["force"])
        self.runs = runs.choose(self.out, list(self.files), self.methods, options["seeds"])
        self.records, self.to_do = [], []

    def sort(self):
        """Sees which runs are done, and which are to do."""
        for run in self.runs:
            record = run.record(self.study)
            done = record is not None and record["state"] == runs.DONE
            if done and (record["timed"] or not self.timed):
                self.records.append((run, record))
            else:
                self.to_do.append(run)

    def check_model(self):
        """Whether finetune takes the model with each method and these settings: what it would say
        of every run is said once, at once. Returns the name of the GPU that it computes on, if it
        does."""
        gpu = None
        for method in self.methods:
            words = [self.finetune, self.model, *method.options, "--dry-run", "--json",
                     *self.place, *runs.settings_words(self.settings)]
            done = subprocess.run([str(word) for word in words], capture_output=True, text=True,
                                  errors="replace", stdin=subprocess.DEVNULL, check=False)
            if done.returncode or not is_json(done.stdout):
                lines = done.stderr.strip().splitlines() or ["finetune --dry-run failed"]
                message = printable(lines[-1].removeprefix("finetune: "))
                raise Fault(f"{method.key}: {message}", done.returncode if
                            done.returncode in (1, 2) else FAILED)
            gpu = re.search(r"^Computing on GPU \d+, (.*), with ", done.stderr, re.M)
        return gpu and gpu[1]

    def make_folder(self):
        try:
            (self.out / "runs").mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise Fault(f"{fault.filename or self.out}: {fault.strerror}") from fault

    def tell(self):
        """Lines of --dry-run: each run and its state."""
        lines = [f"{run}: {self.describe(run)}" for run in self.runs]
        done = len(self.runs) - len(self.to_do)
        return [*lines, f"{count(len(self.runs), 'run')}: {done} done, {len(self.to_do)} to do; "
                f"{self.jobs} at a time with {count(self.threads, 'thread')} each"]

    def describe(self, run):
        state = run.state(self.study)
        record = run.record(self.study)
        if state == runs.DONE and run in self.to_do:
            return "done, to be made anew for its time"
        if state == runs.FAILED:
            return f"failed: {record['message']}"
        return state


def is_json(text):
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
