"""tools/bench from its command line to its last line."""

import json
import os

from measure import runs, settings, tables


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
    found = runs.measure(a) | {"environment": environment}
    if a.json:
        a.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(tables.text(found))
    if a.markdown:
        print("\n" + tables.markdown(found))
