"""What all runs of a results folder share, kept in its study.json: the model, the data and the
training settings. No path of the machine is among it, so a folder can be moved and copied."""

import hashlib

from study import files
from study.fault import Fault, wrong_use

NAME = "study.json"
FORMAT = 1
PLAIN = "f32"  # the precision of a study that names none
MODEL_FILES = ("config.json", "model.safetensors", "vocab.txt", "tokenizer.json")  # of a folder


def hash_model(path):
    """SHA-256 of a GGUF file, or of the files of a Hugging Face folder."""
    parts = [path] if not path.is_dir() else [
        path / name for name in MODEL_FILES if (path / name).is_file()]
    digest = hashlib.sha256()
    try:
        for part in parts:
            with open(part, "rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    except OSError as fault:
        raise Fault(f"{part}: {fault.strerror}") from fault
    return digest.hexdigest()


def shared(model, version, options):
    """The settings that a command line asks for."""
    return {"model": model.name, "model_sha256": hash_model(model), "primer": version,
            "epochs": options["epochs"], "batch_size": options["batch-size"],
            "lr": options["lr"], "max_length": options["max-length"],
            # Studies are older than the choice: f32 is none.
            **({"precision": options["precision"]} if options["precision"] != PLAIN else {})}


def load(folder):
    """The study in a folder; None where there is none."""
    study = files.read_json(folder / NAME)
    if study is None:
        return None
    if study.get("format") != FORMAT or not isinstance(study.get("settings"), dict):
        raise Fault(f"{folder / NAME}: expected a study of format {FORMAT}, found "
                    f"{study.get('format')}")
    return study


def check_folder(folder):
    """Whether results may go there. A folder with other things in it is not written into."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise wrong_use(f"--out {folder}: expected a folder, found a file")
    if not (folder / NAME).exists() and any(folder.iterdir()):
        raise wrong_use(f"--out {folder}: there are other things in it, and no {NAME}: name a new "
                        "folder, or a study's")


def difference(old, settings, data, used):
    """How a study differs from what is asked for, in words; None if it does not. used: tasks whose
    data has led to something: another's may have been put right."""
    was = old["settings"]
    if was.get("model_sha256") != settings["model_sha256"]:
        return f"another model, {was.get('model')}"
    for name, option, plain in (("epochs", "--epochs", None), ("batch_size", "--batch-size", None),
                                ("lr", "--lr", None), ("max_length", "--max-length", None),
                                ("precision", "--precision", PLAIN)):
        before, now = was.get(name, plain), settings.get(name, plain)
        if before != now:
            return f"{option} {before}; this is {now}"
    if was.get("primer") != settings["primer"]:
        return f"Primer {was.get('primer')}; this is {settings['primer']}"
    for task, hashes in data.items():
        for name, value in hashes.items():
            if task in used and old["data"].get(task, hashes).get(name) != value:
                return f"another {task}/{name}"
    return None


def join(folder, settings, data, used, force):
    """The study as it is once what is asked for belongs to it. Nothing is written."""
    old = load(folder)
    differs = old and difference(old, settings, data, used)
    if differs and not force:
        raise wrong_use(f"{folder} was made with {differs}: name another folder, or give --force "
                        "to make anew what you ask for")
    return {"format": FORMAT, "settings": settings,
            "data": {**(old["data"] if old else {}), **data}}


def of_run(study, task):
    """What a run of the task must have been made with to belong to the study."""
    settings = {name: value for name, value in study["settings"].items() if name != "model"}
    return {**settings, "data": study["data"].get(task)}
