"""The programs that are measured: their commands, and taking turns."""

import json
import statistics
import subprocess
import sys

from measure import cases, texts
from measure.settings import ROOT

BATCH = 16
PRIMER, ONE_THREAD = "primer", "one thread"  # who runs, beside the names of cases.PEERS


def run(command):
    """What a command prints; ends the process with its message where it fails."""
    try:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True,
                              check=False)
    except OSError as fault:
        sys.exit(f"bench: {command[0]}: {fault.strerror}: has Primer been built?")
    if done.returncode:
        sys.exit(f"bench: {' '.join(map(str, command))}\n{done.stderr[-2000:]}")
    return done.stdout


def last_json(command):
    """The line that a command ends with."""
    return json.loads(run(command).strip().splitlines()[-1])


class Bench:
    """The files that runs need, and the runs."""

    def __init__(self, a):
        self.a = a
        self.scored, self.long = a.scratch / "scored.gguf", a.scratch / "long"
        a.scratch.mkdir(parents=True, exist_ok=True)
        self.model = a.model or self.make_random_model()
        if any(case.predicts for case in a.cases):
            self.make_scored_model()
        self.onnx = self.export() if any("onnx" in self.peers(case) for case in a.cases) else None
        if any(case.texts == "long" for case in a.cases):
            # A run ends before its first epoch does: no dev set comes between.
            texts.write_long(a.data, self.long, (a.steps + 1) * BATCH)

    # ---- what is made beforehand ----

    def make_random_model(self):
        model = self.a.scratch / "distilbert.gguf"
        if not model.exists():
            run([ROOT / "tools" / "convert", "--random", "distilbert", "--vocab", self.a.vocab,
                 model])
        return model

    def make_scored_model(self):
        """One with a head."""
        run([ROOT / "tools" / "finetune", self.model, "--method", "bitfit", "--steps", 1, "--out",
             self.scored, "--quiet", *self.data("cola")])

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

    def primer(self, case, threads):
        data = self.data(case.texts)
        if case.predicts:
            return [ROOT / "tools" / "evaluate", self.scored, "--threads", threads, "--json",
                    *case.ours, *data]
        return self.training(case, threads, self.a.steps, data)

    def training(self, case, threads, steps, data, *more):
        return [ROOT / "tools" / "finetune", self.model, "--steps", steps, "--quiet", "--out",
                self.a.scratch / "tuned.gguf", "--threads", threads, "--json", *case.ours, *data,
                *more]

    def peer(self, case, who):
        a = self.a
        folder = a.data if case.texts == "cola" else self.long
        what = ["--predict", "--engine", who] if case.predicts else ["--steps", a.steps]
        return [a.python, ROOT / "tests" / "peer.py", *self.peer_model(), "--task-dir", folder,
                "--threads", a.threads, *what, *case.peers[who],
                *(["--onnx", self.onnx] if who == "onnx" else [])]

    def commands(self, case):
        """{who runs: command}"""
        found = {PRIMER: self.primer(case, self.a.threads)}
        if self.a.scaling:
            found[ONE_THREAD] = self.primer(case, 1)
        return found | {who: self.peer(case, who) for who in self.peers(case)}

    # ---- measuring ----

    def machine(self):
        return last_json([ROOT / "tools" / "inspect", "--machine", "--json", "--threads",
                          self.a.threads])

    def take_turns(self):
        """Every run's figures, {case: {who: [...]}}, and the machine's in each round."""
        commands = {case.name: self.commands(case) for case in self.a.cases}
        found = {name: {who: [] for who in by_who} for name, by_who in commands.items()}
        speeds = []
        for turn in range(self.a.rounds + 1):
            for name, by_who in commands.items():
                for who, command in by_who.items():
                    self.tell(f"{turn}/{self.a.rounds}" if turn else "warm-up", name, who)
                    result = last_json(command)
                    if turn:
                        found[name][who].append(result)
            if turn:
                speeds.append(self.machine())
        return found, speeds

    def profiles(self):
        found = {}
        for case in self.a.cases:
            self.tell("profile", case.name, PRIMER)
            found[case.name] = last_json([*self.primer(case, self.a.threads), "--profile"]
                                         )["profile"]
        return found

    @staticmethod
    def tell(turn, name, who):
        print(f"{turn}: {name}, {cases.PEERS.get(who, who)}", file=sys.stderr, flush=True)


def median(runs):
    """The runs' figures, each the median."""
    return {key: statistics.median(run[key] for run in runs) for key, value in runs[0].items()
            if isinstance(value, (int, float))}


def measure(a):
    """All that is found: every run, and what the tables are made of."""
    bench = Bench(a)
    found, speeds = bench.take_turns()
    profiles = bench.profiles() if a.profile else {}
    return {
        "steps": a.steps, "rounds": a.rounds, "threads": a.threads,
        "model": str(a.model or "distilbert"),
        "machine": median(speeds) | {"kernels": speeds[0]["kernels"]}, "machine_runs": speeds,
        "cases": {name: {"medians": {who: median(runs) for who, runs in by_who.items()},
                         "runs": by_who} | ({"profile": profiles[name]} if profiles else {})
                  for name, by_who in found.items()}}
