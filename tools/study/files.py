"""Files that are there as a whole or not at all."""

import json
import os

from study.fault import Fault


def write(path, text):
    """Replaces a file; a process that dies leaves the old one."""
    fresh = path.with_name(path.name + ".part")
    try:
        fresh.write_text(text, encoding="utf-8")
        os.replace(fresh, path)
    except OSError as fault:
        fresh.unlink(missing_ok=True)
        raise Fault(f"{path}: {fault.strerror}") from fault


def write_json(path, value):
    write(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path):
    """The object in a file; None where there is no file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise Fault(f"{path}: {fault.strerror}") from fault
    except ValueError as fault:
        raise Fault(f"{path}: no JSON: {fault}") from fault
    if not isinstance(value, dict):
        raise Fault(f"{path}: expected a JSON object")
    return value
