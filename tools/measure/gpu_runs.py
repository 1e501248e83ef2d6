"""Runs on a GPU."""

import os
import platform
import re
import shutil

from measure.runs import PRIMER, Bench, Failed, last_json, run

PROFILED = 7    # steps, of which the first three are not counted
LONG_PART = 5   # a step on long texts takes that many times longer


def processor():
    """As Linux names it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            found = re.search(r"^model name\s*: (.+)$", file.read(), re.M)
    except OSError:
        found = None
    return found.group(1) if found else platform.machine()


def driver(gpu):
    """The NVIDIA driver's version; None where nobody can be asked."""
    if not shutil.which("nvidia-smi"):
        return None
    try:
        return run(["nvidia-smi", f"--id={gpu}", "--query-gpu=driver_version",
                    "--format=csv,noheader"]).strip()
    except Failed:
        return None


class GpuBench(Bench):
    first_turn = 1  # a step takes nothing from the disk

    def steps(self, case):
        return self.a.steps if case.texts == "cola" else max(1, self.a.steps // LONG_PART)

    def where(self, _threads):
        return ["--backend", "cuda", "--gpu", self.a.gpu]

    def peer(self, case, who):
        return [*super().peer(case, who), "--device", "cuda", "--gpu", self.a.gpu]

    def describe(self):
        """The host, and what the peer stood on, as its first run told."""
        told = [run["device"] for by_who in self.runs.values() for runs in by_who.values()
                for run in runs if "device" in run]
        return {"processor": processor(), "cores": len(os.sched_getaffinity(0)),
                "driver": driver(self.a.gpu)} | {"peer": told[0] if told else None}

    def profiles(self):
        """look_closer has made them."""

    def look_closer(self, case):
        """Where a step's time goes, node by node, and how fast its products are on their own."""
        self.tell("profile", case.name, PRIMER)
        try:
            line = last_json(self.training(case, self.a.threads, PROFILED, self.data(case.texts),
                                           "--profile"))
            self.more[case.name] = {"profile": line["profile"],
                                    "products": self.products(line["profile"]["products"])}
        except Failed as fault:
            self.leave_out(case.name, "profile", str(fault))

    def products(self, listed):
        """The profile's products with their times on the GPU's clock."""
        timed = last_json([self.program("inspect"), "--products",
                           " ".join(row["product"] for row in listed), "--gpu", self.a.gpu,
                           "--json"])["products"]
        return [found | {"calls": row["calls"]} for row, found in zip(listed, timed, strict=True)]
