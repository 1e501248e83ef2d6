"""Runs that are stopped and go on: each ends in the file, bit for bit, that an uninterrupted one
makes. Usage: check_resume.py PROGRAMS, the folder of finetune and its sisters."""

import os
import re
import signal
import subprocess
import time

from tools_harness import COLUMNS, ENVIRONMENT, TIMEOUT, run_checks

FLIP = 6  # steps of the first two epochs, three each
RUN = ["--learner", "4", "--prime", "2", "--epochs", "4", "--lr", "1e-3"]


def check_steps(tools):
    """Stopped by --steps before, at and after the flip, and by nothing at all."""
    data = [tools.make_model(), *tools.make_data(), *RUN]
    tools.tune(*data, "--out", "whole.gguf")
    whole = tools.read("whole.gguf")
    for stop in 1, FLIP - 1, FLIP, FLIP + 1, 2 * FLIP - 1:
        out, _ = tools.tune(*data, "--steps", stop, "--checkpoint", "c", "--out", "part.gguf")
        assert f"\nStopped after step {stop} of 12; go on with --resume c\nSaved part.gguf" in out
        assert tools.read("part.gguf") != whole
        out, _ = tools.tune(*data, "--resume", "c", "--out", "rest.gguf")
        assert f"\nGoing on from c after step {stop} of 12\n" in out, out
        assert tools.read("rest.gguf") == whole, stop
    assert re.search(r"\nStopped after step 2 of 12\nSaved", tools.tune(*data, "--steps", 2)[0])

    # In three parts, the checkpoint in its own place, and with other threads in each.
    tools.run("finetune", *data, "--steps", 4, "--checkpoint", "c", "--threads", 2)
    tools.tune(*data, "--steps", 8, "--resume", "c", "--checkpoint", "c")
    tools.run("finetune", *data, "--resume", "c", "--out", "rest.gguf", "--threads", 3)
    assert tools.read("rest.gguf") == whole

    # One that save_every left of a run that went on; after the last step there is nothing to do.
    for every in 5, 12:
        tools.tune(*data, "--checkpoint", "c", "--save-every", every, "--out", "part.gguf")
        assert tools.read("part.gguf") == whole
        tools.tune(*data, "--resume", "c", "--out", "rest.gguf")
        assert tools.read("rest.gguf") == whole, every


def check_log(tools):
    """A resumed run's log goes on where the first one's ended; it names its phase again."""
    data = [tools.make_model(), *tools.make_data(), *RUN]
    fields = re.compile(rb'"seconds": [\d.]+')
    tools.tune(*data, "--log", "whole.jsonl")
    tools.tune(*data, "--steps", 5, "--checkpoint", "c", "--log", "l.jsonl")
    tools.tune(*data, "--resume", "c", "--log", "l.jsonl")
    lines = [fields.sub(b"", tools.read(f)).splitlines() for f in ("l.jsonl", "whole.jsonl")]
    assert list(dict.fromkeys(lines[0])) == lines[1]
    assert len(lines[0]) == len(lines[1]) + 1


def check_scores_first(tools):
    """A run that is killed once the checkpoint of an epoch's last step is there has told of the
    epoch's scores, which nobody would come by again."""
    data = [tools.make_model(), *tools.make_data(dev=4000), *RUN]
    run = start(tools, *data, "--log", "l.jsonl", "--checkpoint", "c", "--save-every", 3)
    end = time.monotonic() + TIMEOUT
    while not (tools / "c").exists():
        assert run.poll() is None and time.monotonic() < end
        time.sleep(0.002)
    run.kill()
    run.communicate(timeout=TIMEOUT)
    assert b'"mcc"' in tools.read("l.jsonl")
    tools.tune(*data, "--resume", "c", "--log", "l.jsonl")
    assert tools.read("l.jsonl").count(b'"mcc"') == 4


def start(tools, *arguments):
    return subprocess.Popen(tools.command("finetune", [*arguments, "--threads", 1]),
                            cwd=tools.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=ENVIRONMENT)


def await_steps(tools, run, n):
    """Waits until the log has n steps' lines."""
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        assert run.poll() is None, run.communicate()
        log = tools / "l.jsonl"
        if log.exists() and log.read_bytes().count(b'"step"') >= n:
            return
        time.sleep(0.002)
    raise AssertionError("no steps were made")


def check_interrupt(tools):
    """Ctrl-C, or SIGTERM, ends after the step with the model and a checkpoint saved."""
    data = [tools.make_model(), *tools.make_data(train=8)[:2], *COLUMNS, "--batch-size", "2",
            "--learner", "4", "--prime", "25", "--epochs", "200"]
    flip, steps = 100, 800
    tools.tune(*data, "--quiet", "--out", "whole.gguf")
    whole = tools.read("whole.gguf")
    for after, number in (2, signal.SIGINT), (flip + 5, signal.SIGTERM):
        named = ["--checkpoint", "c"] if number == signal.SIGTERM else []
        checkpoint = "c" if named else "part.checkpoint"
        run = start(tools, *data, "--log", "l.jsonl", "--out", "part.gguf", *named)
        await_steps(tools, run, after)
        run.send_signal(number)
        out, err = map(bytes.decode, run.communicate(timeout=TIMEOUT))
        assert run.returncode == 0 and not err, (run.returncode, out, err)
        found = re.search(rf"\nStopped after step (\d+) of {steps}; go on with --resume "
                          rf"{checkpoint}\nSaved part\.gguf after \1 steps; ", out)
        assert found and after <= int(found[1]) < steps, out
        assert tools.read("l.jsonl").count(b'"step"') == int(found[1]), "stopped within a step"
        assert (tools / "part.gguf").exists()
        tools.tune(*data, "--quiet", "--resume", checkpoint, "--out", "rest.gguf")
        assert tools.read("rest.gguf") == whole, after
        for name in "l.jsonl", "part.gguf", checkpoint:
            os.remove(tools / name)


def check_second_signal(tools):
    """A second one ends the run at once, with nothing saved."""
    data = [tools.make_model(), *tools.make_data(), "--epochs", "10000"]
    run = start(tools, *data, "--log", "l.jsonl")
    await_steps(tools, run, 1)
    before = set(os.listdir(tools.folder))
    run.send_signal(signal.SIGSTOP)
    run.send_signal(signal.SIGINT)
    run.send_signal(signal.SIGTERM)
    run.send_signal(signal.SIGCONT)
    run.communicate(timeout=TIMEOUT)
    assert run.returncode in (-signal.SIGINT, -signal.SIGTERM), run.returncode
    assert set(os.listdir(tools.folder)) == before


def check_other_settings(tools):
    """A checkpoint goes on only with the options, the data and the model that it was made with."""
    data = [tools.make_model(), *tools.make_data()]
    tools.tune(*data, *RUN, "--steps", 4, "--checkpoint", "c")
    tools.make_model("other.gguf", seed=1)
    rows = tools.read("train.tsv").split(b"\n")
    tools.write("fewer.tsv", b"\n".join(rows[:-2]) + b"\n")
    tools.write("words.tsv", b"\n".join(rows).replace(b"cat", b"dog", 1))
    tools.write("labels.tsv", b"\n".join(rows).replace(b"yes", b"no!"))
    for more, says in (
            (["--seed", 1], "c: made with seed 0; this run has 1"),
            (["--learner", 5], "c: made with size 4; this run has 5"),
            (["--prime", 1], "c: made with prime 2; this run has 1"),
            (["--scale", 2], "c: made with scale 1; this run has 2"),
            (["--epochs", 5], "c: made with epochs 4; this run has 5"),
            (["--batch-size", 8], "c: made with batch size 16; this run has 8"),
            (["--lr", "1e-4"], "c: made with learning rate 0.001; this run has 0.0001"),
            (["--weight-decay", 0], "c: made with weight decay 0.01; this run has 0"),
            (["--warmup", 1], "c: made with warmup 0; this run has 1"),
            (["--clip", 0], "c: made with clip 1; this run has 0"),
            (["--dropout", 0], "c: made with dropout 0.100000001; this run has 0"),
            (["--head-dropout", 0], "c: made with head dropout 0.100000001; this run has 0"),
            (["--train-file", "fewer.tsv"], "c: made with rows 40; this run has 39"),
            (["--train-file", "words.tsv"], "c: made with another training set"),
            (["--train-file", "labels.tsv"], "c: made with another training set"),
            (["--max-length", 8], "c: made with another training set")):
        if more[1] == "labels.tsv":
            more += ["--dev-file", "labels.tsv"]
        tools.wrong("finetune", *data, *RUN, *more, "--resume", "c", says=says)
    tools.wrong("finetune", *data, "--resume", "c", "--lr", "1e-3", "--epochs", 4,
                says="c: made with method learner; this run has full")
    tools.wrong("finetune", "other.gguf", *data[1:], *RUN, "--resume", "c",
                says="c: made with another model")
    # Scoring and telling may differ.
    tools.tune(*data[:3], *data[5:], *RUN, "--resume", "c", "--json", "--quiet")


run_checks(globals())
