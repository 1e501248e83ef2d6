"""finetune's log: a line of JSON for each step, each epoch and the beginning of each phase. A run
that was killed and went on from its last checkpoint has some of them twice: the last one counts."""

import array
import json
import math
import os
import re

from study.fault import Fault

PLAN = ("weights_bytes", "gradients_bytes", "moments_bytes", "activations_bytes")


class Log:
    """Steps, each an element of losses, seconds, tokens and epoch_of; epochs and phases by
    number."""

    def __init__(self, path):
        self.path = path
        self.losses, self.seconds = array.array("d"), array.array("d")
        self.tokens, self.epoch_of = array.array("q"), array.array("i")
        self.epochs, self.phases = {}, {}
        with open(path, "rb") as file:
            for line in file:
                if line.endswith(b"\n"):  # else a process died within it
                    self.add(json.loads(line))

    def add(self, line):
        if "step" in line:
            self.add_step(line)
        elif "phase" in line:
            known = self.phases.get(line["phase"], line)
            first = min(known["first_step"], line["first_step"])
            self.phases[line["phase"]] = {**line, "first_step": first}
        else:
            self.epochs[line["epoch"]] = line

    def add_step(self, line):
        at = line["step"] - 1
        if at > len(self.losses):
            raise Fault(f"{self.path}: step {len(self.losses) + 1} is missing")
        loss = math.nan if line["loss"] is None else line["loss"]
        for values, value in ((self.losses, loss), (self.seconds, line["seconds"] or 0.0),
                              (self.tokens, line["tokens"]), (self.epoch_of, line["epoch"])):
            values[at:at + 1] = array.array(values.typecode, [value])

    def is_whole(self, epochs):
        """Whether the last epoch was trained and scored."""
        return epochs - 1 in self.epochs

    def epoch_lines(self):
        """In order, with the seconds of the steps that count."""
        spent = {}
        for epoch, seconds in zip(self.epoch_of, self.seconds):
            spent[epoch] = spent.get(epoch, 0.0) + seconds
        plan = {"trained", *PLAN}
        return [{**{name: value for name, value in line.items() if name not in plan},
                 "seconds": round(spent.get(epoch, 0.0), 3)}
                for epoch, line in sorted(self.epochs.items())]

    def phase_lines(self):
        """In order: what was planned, and steps, seconds and tokens of the steps that count."""
        phases = [self.phases[number] for number in sorted(self.phases)]
        ends = [phase["first_step"] for phase in phases[1:]] + [len(self.losses)]
        return [{**phase, "steps": end - phase["first_step"],
                 "seconds": round(math.fsum(self.seconds[phase["first_step"]:end]), 3),
                 "tokens": sum(self.tokens[phase["first_step"]:end])}
                for phase, end in zip(phases, ends)]


def cut_broken_line(path):
    """Takes away the line that a killed process did not end, before more is added to the log."""
    with open(path, "rb+") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 65536))
        tail = file.read()
        file.truncate(size - len(tail) + tail.rfind(b"\n") + 1)


class Tail:
    """Follows a log that is being written: the last step, and the epoch it belongs to."""

    STEP = re.compile(rb'"step": (\d+), "epoch": (\d+)')

    def __init__(self, path):
        self.path, self.at, self.step, self.epoch = path, 0, 0, 0

    def look(self):
        try:
            with open(self.path, "rb") as file:
                file.seek(self.at)
                block = file.read()
        except FileNotFoundError:
            return
        whole = block.rfind(b"\n") + 1
        self.at += whole
        for match in self.STEP.finditer(block, 0, whole):
            self.step, self.epoch = int(match[1]), int(match[2])
