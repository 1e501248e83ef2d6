"""tools/bench from its command line to its last line."""

import json
import os
import sys

from measure import gpu_runs, gpu_tables, lengths, runs, settings, tables


def blas_settings():
    """What the environment tells OpenBLAS."""
    return {name: value for name, value in sorted(os.environ.items())
            if name.startswith("OPENBLAS_")}


def read_kept(paths):
    """What --json wrote: of several files the cases of all, and of the last what else there is."""
    found = {"cases": {}, "left_out": {}}
    for path in paths:
        try:
            one = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as fault:
            sys.exit(f"bench: --from {path}: {fault}")
        if "cases" not in one or one.get("backend") != found.get("backend", one.get("backend")):
            sys.exit(f"bench: --from {path}: expected what --json kept, all of one backend")
        found |= one | {"cases": found["cases"] | one["cases"],
                        "left_out": found["left_out"] | one["left_out"]}
    return found


def show(found, a):
    """The tables; the exit code."""
    gpu = found["backend"] == "cuda"
    if not found["cases"]:
        sys.exit("bench: nothing was measured")
    print(gpu_tables.text(found, a.profile) if gpu else tables.text(found))
    if a.markdown:
        print("\n" + (gpu_tables if gpu else tables).markdown(found))
    for who, why in found["left_out"].items():
        print(f"Left out: {who}: {why.splitlines()[-1]}")
    return 1 if found["left_out"] else 0


def measure(a):
    """All that is found, written to --json as it comes."""
    environment = blas_settings() if a.backend == "cpu" else {}
    if environment:
        shown = " ".join(f"{name}={value}" for name, value in environment.items())
        print(f"{shown} in the environment: OpenBLAS obeys, which can halve Primer's speed",
              flush=True)

    def keep(found):
        if a.json:
            a.json.write_text(json.dumps(found | {"environment": environment}, indent=1) + "\n",
                              encoding="utf-8")
    bench = (gpu_runs.GpuBench if a.backend == "cuda" else runs.Bench)(a)
    if not a.lengths:
        return runs.measure(bench, keep)
    found = {"lengths": lengths.measure(bench)}
    keep(found)
    return found


def main(arguments):
    """The exit code."""
    a = settings.read(arguments)
    try:
        found = read_kept(a.kept) if a.kept else measure(a)
    except runs.Failed as fault:
        sys.exit(f"bench: {fault}")
    if "lengths" in found:
        print(lengths.text(found["lengths"]))
        return 0
    return show(found, a)
