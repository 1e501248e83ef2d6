"""The programs that are measured: their commands, and taking turns."""

import json
import statistics
import subprocess
import sys
import time

from measure import cases, texts
from measure.settings import ROOT

PRIMER, ONE_THREAD = "primer", "one thread"  # who runs, beside the names of cases.PEERS


class Failed(Exception):
    """A program could not run, or failed; with its message."""


def run(command):
    """What a command prints."""
    try:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True,
                              check=False)
    except OSError as fault:
        raise Failed(f"{command[0]}: {fault.strerror}: has Primer been built?") from fault
    if done.returncode:
        raise Failed(f"{' '.join(map(str, command))}\n{done.stderr[-2000:]}")
    return done.stdout


def last_json(command):
    """The line that a command ends with."""
    return json.loads(run(command).strip().splitlines()[-1])


class Bench:
    """The files that runs need, and the runs."""

    first_turn = 0  # which is not counted: it warms the disk cache

    def __init__(self, a):
        self.a = a
        self.scored, self.long = a.scratch / "scored.gguf", a.scratch / "long"
        a.scratch.mkdir(parents=True, exist_ok=True)
        self.model = a.model or self.make_random_model()
        if any(case.predicts for case in a.cases):
            self.make_scored_model()
        self.onnx = self.export() if any("onnx" in self.peers(case) for case in a.cases) else None
        sizes = [self.steps(case) * case.batch + case.batch for case in a.cases
                 if case.texts == "long"]
        if sizes:  # a run ends before its first epoch does: no dev set comes between
            texts.write_long(a.data, self.long, max(sizes))
        self.runs = {case.name: {} for case in a.cases}  # {case: {who: [figures, ...]}}
        self.speeds, self.more = [], {case.name: {} for case in a.cases}
        self.left_out = {}  # {"case, who": why}

    # ---- what is made beforehand ----

    def program(self, name):
        return self.a.programs / name

    def make_random_model(self):
        model = self.a.scratch / "distilbert.gguf"
        if not model.exists():
            run([self.program("convert"), "--random", "distilbert", "--vocab", self.a.vocab, model])
        return model

    def make_scored_model(self):
        """One with a head."""
        run([self.program("finetune"), self.model, "--method", "bitfit", "--steps", 1, "--out",
             self.scored, "--quiet", *self.where(self.a.threads), *self.data("cola")])

    def export(self):
        """The peer's model as ONNX; one with random weights is kept."""
        a = self.a
        path = a.scratch / ("peer.onnx" if a.model else "distilbert.onnx")
        if a.model or not path.exists():
            run([a.python, ROOT / "tests" / "peer.py", *self.peer_model(), "--export", path])
        return path

    # ---- commands ----

    def data(self, kind):
        if kind == "cola":
            return ["--task", "cola", "--data", self.a.data]
        return self.long_data(self.long, texts.LENGTH)

    @staticmethod
    def long_data(folder, length):
        return ["--train-file", folder / "train.tsv", "--dev-file", folder / "dev.tsv",
                "--text", "sentence", "--label", "label", "--max-length", length]

    def peer_model(self):
        if self.a.model:
            return ["--model", self.a.peer_model]
        return ["--random", "distilbert", "--vocab", self.a.vocab]

    def peers(self, case):
        return {} if self.a.no_peer else case.peers

    def steps(self, _case):
        return self.a.steps

    @staticmethod
    def where(threads):
        """What Primer computes with: a GPU that is there is not asked."""
        return ["--backend", "cpu", "--threads", threads]

    def primer(self, case, threads):
        data = self.data(case.texts)
        if case.predicts:
            return [self.program("evaluate"), self.scored, *self.where(threads), "--json",
                    *case.ours, *data]
        return self.training(case, threads, self.steps(case), data)

    def training(self, case, threads, steps, data, *more):
        return [self.program("finetune"), self.model, "--steps", steps, "--quiet", "--out",
                self.a.scratch / "tuned.gguf", *self.where(threads), "--json", "--batch-size",
                case.batch, *case.ours, *data, *more]

    def peer(self, case, who):
        a = self.a
        folder = a.data if case.texts == "cola" else self.long
        what = ["--predict", "--engine", who] if case.predicts else ["--steps", self.steps(case)]
        return [a.python, ROOT / "tests" / "peer.py", *self.peer_model(), "--task-dir", folder,
                "--threads", a.threads, "--batch-size", case.batch, *what, *case.peers[who],
                *(["--onnx", self.onnx] if who == "onnx" else [])]

    def commands(self, case):
        """{who runs: command}"""
        found = {PRIMER: self.primer(case, self.a.threads)}
        if self.a.scaling:
            found[ONE_THREAD] = self.primer(case, 1)
        return found | {who: self.peer(case, who) for who in self.peers(case)}

    # ---- measuring ----

    def machine(self):
        return last_json([self.program("inspect"), "--machine", "--json",
                          *self.where(self.a.threads)])

    def take_turns(self, keep):
        """Makes every run; keep is called when there is more to keep."""
        commands = {case.name: self.commands(case) for case in self.a.cases}
        began = time.monotonic()
        for turn in range(self.first_turn, self.a.rounds + 1):
            if turn:
                self.speeds.append(self.machine())
            for case in self.a.cases:
                if self.a.within and time.monotonic() - began > self.a.within:
                    self.leave_out(case.name, f"turn {turn}", "there was no time left for it")
                    continue
                self.take_turn(turn, case, commands[case.name])
                keep()

    def take_turn(self, turn, case, by_who):
        """One run of everybody. Who fails is left out from then on."""
        for who, command in list(by_who.items()):
            self.tell(f"{turn}/{self.a.rounds}" if turn else "warm-up", case.name, who)
            try:
                result = last_json(command)
            except Failed as fault:
                self.leave_out(case.name, who, str(fault))
                del by_who[who]
                continue
            if turn:
                self.runs[case.name].setdefault(who, []).append(result)
        if turn == 1 and PRIMER in by_who:
            self.look_closer(case)

    def look_closer(self, case):
        """What more is to be found out of a case, once."""

    def profiles(self):
        for case in self.a.cases:
            self.tell("profile", case.name, PRIMER)
            found = last_json([*self.primer(case, self.a.threads), "--profile"])
            self.more[case.name]["profile"] = found["profile"]

    def leave_out(self, name, who, why):
        print(f"bench: {name}, {who}: left out: {why}", file=sys.stderr, flush=True)
        self.left_out[f"{name}, {who}"] = why

    @staticmethod
    def tell(turn, name, who):
        print(f"{turn}: {name}, {cases.PEERS.get(who, who)}", file=sys.stderr, flush=True)

    # ---- what was found ----

    def describe(self):
        """What else there is to know of the machine."""
        return {}

    def found(self):
        """All that is found so far: every run, and what the tables are made of."""
        a = self.a
        return {
            "backend": a.backend, "steps": a.steps, "rounds": a.rounds, "threads": a.threads,
            "model": str(a.model or "distilbert"), "host": self.describe(),
            "machine": self.speeds[0] | median(self.speeds), "machine_runs": self.speeds,
            "left_out": self.left_out,
            "cases": {name: {"medians": {who: median(runs) for who, runs in by_who.items()},
                             "runs": by_who} | self.more[name]
                      for name, by_who in self.runs.items() if PRIMER in by_who}}


def median(runs):
    """The runs' figures, each the median."""
    return {key: statistics.median(run[key] for run in runs) for key, value in runs[0].items()
            if isinstance(value, (int, float))}


def measure(bench, keep):
    """keep(found) is called when there is more to keep, and at the end."""
    def keep_found():
        if bench.speeds:
            keep(bench.found())
    bench.take_turns(keep_found)
    if bench.a.profile:
        bench.profiles()
    found = bench.found()
    keep(found)
    return found
