"""tools/bench from its command line to its last line."""

import json
import os

from measure import lengths, runs, settings, tables


def blas_settings():
    """What the environment tells OpenBLAS."""
    return {name: value for name, value in sorted(os.environ.items())
            if name.startswith("OPENBLAS_")}


def main(arguments):
    a = settings.read(arguments)
    environment = blas_settings()
    if environment:
        shown = " ".join(f"{name}={value}" for name, value in environment.items())
        print(f"{shown} in the environment: OpenBLAS obeys, which can halve Primer's speed",
              flush=True)
    found = {"lengths": lengths.measure(runs.Bench(a))} if a.lengths else runs.measure(a)
    if a.json:
        a.json.write_text(json.dumps(found | {"environment": environment}, indent=1) + "\n",
                          encoding="utf-8")
    print(lengths.text(found["lengths"]) if a.lengths else tables.text(found))
    if a.markdown and not a.lengths:
        print("\n" + tables.markdown(found))
