"""glue: the runs of a study, how they are stopped, go on, fail and are told of. Usage:
check_glue.py PROGRAMS, the folder of glue, finetune and their sisters."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time

from glue_harness import (STUDY, glue, losses_of, make_glue, record_of, results_of, run_folder)
from tools_harness import ENVIRONMENT, TIMEOUT, on_terminal, run_checks, screen

LONG = ["--tasks", "CoLA", "--methods", "full,learner-4-p10", "--seeds", "1", "--epochs", "20",
        "--batch-size", "4", "--save-every", "10"]
STEPS = 20 * 15


# ---- what the command line says ----

def check_help(tools):
    """--help fits a terminal, each option's text beside it; its examples are right use."""
    out, err = tools.run("glue", "--help")
    assert not err and out.startswith("usage: glue MODEL ")
    assert out.endswith("Exit status: 0 done, 1 failed, 2 wrong use.\n")
    assert all(len(line) <= 80 and line == line.rstrip() for line in out.split("\n")), out
    options = re.findall(r"^  --([a-z-]+)(?: [A-Z]+)?  +\S", out, re.M)
    assert options == ["data", "methods", "tasks", "seeds", "out", "jobs", "backend", "gpu",
                       "timed", "epochs", "batch-size", "lr", "max-length", "precision",
                       "save-every", "keep-models", "force", "dry-run", "quiet", "table", "tables",
                       "figures", "help", "version"]
    assert re.fullmatch(r"glue \(primer\) \d+\.\d+\.\d+\n", tools.run("glue", "--version")[0])
    for line in out.split("\nExamples:\n")[1].split("\n\n")[0].replace("\\\n", " ").split("\n"):
        words = shlex.split(line)
        says = "No such file or directory" if "model.gguf" in words else "no study is there"
        assert words[0] == "glue"
        tools.fails("glue", *words[1:], says=says)


def check_wrong_use(tools):
    """One line, and nothing written."""
    make_glue(tools)
    tools.write("other/file", "mine")
    tools.write("file", "mine")
    tools.write("empty/folder/x", "")
    base = ["model.gguf", "--data", "glue", "--out", "study"]
    for words, says in (
            ("--methods lerner-64-p2",
             "unknown method 'lerner-64-p2': did you mean 'learner-64-p2'?"),
            ("--methods beatfit", "unknown method 'beatfit': did you mean 'bitfit'?"),
            ("--methods bitfit,,full", "--methods takes names with commas between"),
            ("--methods xyz", "unknown method 'xyz': it is one of full, far-10, bitfit, "
             "adapter-256, parallel-512, freeze-ffn, learner-8-p0, "),
            ("--methods learner-0-p2", "unknown method 'learner-0-p2': did you mean 'learner-"),
            ("--tasks cula", "unknown task 'cula': did you mean 'CoLA'?"),
            ("--tasks sst", "unknown task 'sst': did you mean 'SST-2'?"),
            ("--tasks imagenet", "unknown task 'imagenet': it is one of CoLA, MNLI, MRPC, QNLI, "),
            ("--tasks QNLI", "--tasks QNLI: "), ("--tasks QNLI", "QNLI/train.tsv is missing"),
            ("--backend gpu", "--backend is one of auto, cpu, cuda, found 'gpu'"),
            ("--precision fp16", "--precision is one of f32, tf32, bf16, found 'fp16'"),
            ("--seeds 0", "--seeds takes how many, such as 5, or which, such as 0,3 or 2-4, found"),
            ("--seeds 3-1", "--seeds takes how many"), ("--seeds x", "--seeds takes how many"),
            ("--jobs 0", "--jobs takes a whole number from 1 to 1024, found '0'"),
            ("--jobs 2 --timed", "--timed and --jobs contradict each other"),
            ("--epochs 1.5", "--epochs takes a whole number from 1 to 100000, found '1.5'"),
            ("--lr nan", "--lr takes a number from 0 to 10, found 'nan'"),
            ("--learning-rate 1", "unknown option '--learning-rate': did you mean '--lr'?"),
            ("--epoch 3", "unknown option '--epoch': did you mean '--epochs'?"),
            ("--zzz", "unknown option '--zzz': see 'glue --help'"),
            ("--epochs", "--epochs needs a value: --epochs N"),
            ("--timed=yes", "'--timed' takes no value"),
            ("--tasks=", "--tasks needs a value, found an empty one"),
            ("--table 3", "--table takes a whole number from 1 to 2, found '3'"),
            ("--dry-run --quiet", "leave nothing to print"),
            ("more", "'more' is one argument too many"),
            ("--max-length 100000", "--max-length 100000: the model has positions for "),
            ("--data nowhere", "--data nowhere: no such folder"),
            ("--data empty", "--data empty: no task of GLUE has its files there"),
            ("--out other", "--out other: there are other things in it, and no study.json"),
            ("--out file", "--out file: expected a folder, found a file")):
        tools.wrong("glue", *base, "--methods", "full", *words.split(), says=says)
    tools.wrong("glue", says="too few arguments: usage is 'glue MODEL --data DIR --out DIR")
    tools.wrong("glue", "model.gguf", "--data", "glue", says="--out DIR is missing")
    tools.wrong("glue", "model.gguf", "--out", "study", says="--data DIR is missing")
    tools.wrong("glue", "--out", "study", "--table", 1, "--jobs", 2, says="--jobs needs a MODEL")
    tools.wrong("glue", *base[1:], "--table", 2, says="--data needs a MODEL")
    tools.fails("glue", "--out", "other", "--table", 2,
                says="other: no study is there: study.json is missing")
    tools.fails("glue", "vocab.txt", *base[1:], says="vocab.txt")
    tools.write("bad/study.json", "{")
    tools.fails("glue", "--out", "bad", "--table", 2, says="study.json: no JSON: ")


# ---- what a study leaves ----

def check_study(tools):
    """What each run leaves is what finetune alone makes; what is done is not run again; more can be
    asked for; the folder can be moved, and needs no other."""
    make_glue(tools)
    out, err = glue(tools, "--seeds", 2, "--jobs", 2)
    assert not err and out.endswith("\nstudy: 8 of 8 runs done\n"), out + err
    assert re.search(r"^CoLA learner-8-p2 seed 1: mcc -?\d\.\d{4}, [\d.]+ s; \d of 8 runs, "
                     r"0:\d\d left$", out, re.M), out
    found = sorted(str(p.relative_to(tools / "study")) for p in (tools / "study").rglob("*")
                   if p.is_file())
    assert found == sorted(["study.json", *(
        f"runs/{task}/{method}/seed-{seed}/{name}" for task in ("CoLA", "RTE")
        for method in ("full", "learner-8-p2") for seed in (0, 1)
        for name in ("losses.txt", "run.json"))]), found
    records = "".join(path.read_text() for path in (tools / "study").rglob("*.json"))
    assert str(tools.folder) not in records, "paths of the machine"

    tools.tune("model.gguf", "--task", "RTE", "--data", "glue", "--learner", 8, "--prime", 2,
               "--epochs", 3, "--lr", "1e-3", "--seed", 1, "--log", "l.jsonl", "--quiet")
    lines = [json.loads(line) for line in tools.read("l.jsonl").splitlines()]
    steps = [line for line in lines if "step" in line]
    assert losses_of(tools, "RTE", "learner-8-p2", 1) == [
        f"{line['loss']:.5g}" for line in steps] and len(steps) == 12
    record = record_of(tools, "RTE", "learner-8-p2", 1)
    last = [line for line in lines if "step" not in line and "phase" not in line][-1]
    assert len(record["epochs"]) == 3
    for name in "loss", "accuracy":
        assert record["epochs"][-1][name] == last[name], name
    first, second = record["phases"]
    assert [(phase["first_step"], phase["steps"]) for phase in (first, second)] == [(0, 8), (8, 4)]
    assert first["trained"] > second["trained"] == last["trained"]
    assert first["total"] == second["total"] == record["total"]
    assert first["planned_bytes"] >= second["planned_bytes"] > second["weights_bytes"] > 0
    assert abs(first["seconds"] + second["seconds"] - record["seconds"]) < 0.01
    assert abs(sum(e["seconds"] for e in record["epochs"]) - record["seconds"]) < 0.01
    assert record["tokens"] == sum(line["tokens"] for line in steps)
    assert not record["timed"] and record["parts"][0]["jobs"] == 2
    assert 1e6 < record["peak_rss_bytes"] < 1e10 and record["process_seconds"] > record["seconds"]

    before = tools.snapshot()
    out, _ = glue(tools, "--seeds", 2)
    assert out == "study: 8 of 8 runs done\n" and tools.snapshot() == before
    shutil.move(tools / "study", tools / "elsewhere")
    shutil.move(tools / "model.gguf", tools / "renamed.gguf")
    before = results_of(tools, "elsewhere")
    out, _ = tools.run("glue", "renamed.gguf", *STUDY[1:], "--out", "elsewhere", "--methods",
                       "Learner8 (p=2)", "--tasks", "cola", "--seeds", "1-2")
    assert out.count("\n") == 2 and out.endswith("\nelsewhere: 2 of 2 runs done\n"), out
    after = results_of(tools, "elsewhere")
    assert {name: after[name] for name in before} == before and len(after) == 9


def check_dry_run(tools):
    """All runs with their state; nothing is written. Tasks without files are told of."""
    make_glue(tools)
    out, err = glue(tools, "--dry-run", "--tasks", "all", "--seeds", "0,3")
    assert err == ("glue: MNLI, MRPC, QNLI, QQP, SST-2, STS-B, WNLI: no files in glue; going on "
                   "without\n"), err
    assert out.startswith("CoLA full seed 0: to do\nCoLA learner-8-p2 seed 0: to do\n"), out
    assert "\n8 runs: 0 done, 8 to do; 1 at a time with " in out and "RTE full seed 3: to do" in out
    assert not (tools / "study").exists()
    glue(tools, "--methods", "full", "--seeds", 1)
    out, _ = glue(tools, "--dry-run", "--seeds", 1, "--jobs", 500)
    assert out.startswith("CoLA full seed 0: done\nCoLA learner-8-p2 seed 0: to do\n"), out
    assert "; 500 at a time with 1 thread each\n" in out
    shutil.rmtree(tools / "glue/CoLA")
    tools.write("glue/CoLA/train.tsv", "")
    tools.wrong("glue", *STUDY, "--out", "study", "--tasks", "RTE,CoLA", says="--tasks CoLA: ")


def check_settings(tools):
    """A folder of other settings is refused; with --force it goes over to the new ones."""
    make_glue(tools)
    few = ["--tasks", "CoLA", "--methods", "full", "--seeds", 1]
    glue(tools, *few)
    tools.make_model("other.gguf", seed=1)
    for words, says in (
            (["--epochs", 4], "study was made with --epochs 3; this is 4: name another folder, or"),
            (["--lr", "1e-4"], "study was made with --lr 0.001; this is 0.0001: "),
            (["--batch-size", 8], "study was made with --batch-size 16; this is 8: "),
            (["--max-length", 64], "study was made with --max-length 128; this is 64: "),
            (["--precision", "bf16"], "study was made with --precision f32; this is bf16: ")):
        tools.wrong("glue", *STUDY, "--out", "study", *few, *words, says=says)
    tools.wrong("glue", "other.gguf", *STUDY[1:], "--out", "study", *few,
                says="study was made with another model, model.gguf: ")
    text = tools.read("glue/CoLA/train.tsv")
    tools.write("glue/CoLA/train.tsv", text.replace(b"cat", b"dog", 1))
    tools.wrong("glue", *STUDY, "--out", "study", *few,
                says="study was made with another CoLA/train.tsv: ")
    tools.write("glue/CoLA/train.tsv", text)

    old = losses_of(tools, "CoLA", "full", 0)
    out, _ = glue(tools, *few, "--methods", "learner-8-p2", "--epochs", 4, "--force")
    assert out.endswith("\nstudy: 1 of 1 run done\n")
    assert losses_of(tools, "CoLA", "full", 0) == old
    out, _ = tools.run("glue", "--out", "study", "--table", 2)
    assert "Left out: 1 run made with other settings than these." in out
    glue(tools, *few, "--epochs", 4)
    assert len(losses_of(tools, "CoLA", "full", 0)) == 16 and len(old) == 12


# ---- stopping and going on ----

def start(tools, *more):
    return subprocess.Popen(tools.command("glue", [*STUDY, "--out", "study", *LONG, *more]),
                            cwd=tools.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=ENVIRONMENT, start_new_session=True)


def wait_for(what, process):
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        assert process.poll() is None, process.communicate()
        if what():
            return
        time.sleep(0.002)
    raise AssertionError("it did not come to pass")


def steps_of(tools, method, n):
    """Whether the run has made n steps and saved a checkpoint."""
    folder = run_folder(tools, "CoLA", method, 0)
    log = folder / "log.jsonl"
    return ((folder / "checkpoint").exists() and log.exists()
            and log.read_bytes().count(b'"step"') >= n)


def children_of(process):
    with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def whole(tools):
    """The results of a study that nobody stops."""
    make_glue(tools)
    tools.run("glue", *STUDY, *LONG, "--out", "whole", "--jobs", 2)
    return results_of(tools, "whole")


def check_interrupt(tools):
    """Ctrl-C leaves checkpoints; the same command goes on to the same results, to the bit."""
    expected = whole(tools)
    for number, jobs in (signal.SIGINT, 2), (signal.SIGTERM, 1):
        process = start(tools, "--jobs", jobs)
        wait_for(lambda: steps_of(tools, "full", 20), process)
        # A terminal's Ctrl-C goes to all processes of the group; each must heed it once.
        os.killpg(process.pid, number)
        out, err = map(bytes.decode, process.communicate(timeout=TIMEOUT))
        assert process.returncode == 1 and not err, out + err
        assert out == "study: 0 of 2 runs done; the same command goes on\n", out
        left = set(os.listdir(run_folder(tools, "CoLA", "full", 0)))
        assert left == {"begun.json", "log.jsonl", "checkpoint", "stderr"}, left
        made = tools.read("study/runs/CoLA/full/seed-0/log.jsonl").count(b'"step"')
        assert made < STEPS, "it was stopped too late to show anything"
        tools.fails("glue", "--out", "study", "--figures", says="no run is done")
        out, _ = glue(tools, *LONG)
        assert out.endswith("\nstudy: 2 of 2 runs done\n")
        assert results_of(tools) == expected
        record = record_of(tools, "CoLA", "full", 0)
        assert len(record["parts"]) == 2 and not record["timed"]
        assert record_of(tools, "CoLA", "learner-4-p10", 0)["timed"] == (jobs == 1)
        shutil.rmtree(tools / "study")


def check_second_interrupt(tools):
    """A second Ctrl-C ends runs that do not heed the first; their last checkpoints stay."""
    make_glue(tools)
    process = start(tools)
    wait_for(lambda: steps_of(tools, "full", 20), process)
    child = children_of(process)[0]
    os.kill(child, signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = map(bytes.decode, process.communicate(timeout=TIMEOUT))
    assert process.returncode == 1 and not err and not is_alive(child), out + err
    assert (run_folder(tools, "CoLA", "full", 0) / "checkpoint").exists()
    out, _ = glue(tools, *LONG, "--dry-run")
    assert out.startswith("CoLA full seed 0: begun\nCoLA learner-4-p10 seed 0: to do\n"), out


def check_kill(tools):
    """Killed, with no time for a last word: what was done is not run again, what was begun goes on
    from its last checkpoint."""
    expected = whole(tools)
    process = start(tools)
    done = run_folder(tools, "CoLA", "full", 0) / "run.json"
    wait_for(lambda: done.exists() and steps_of(tools, "learner-4-p10", 20), process)
    before = tools.snapshot()[str(done)]
    children = children_of(process)
    process.kill()  # its run saves a checkpoint, which the next study waits for
    process.wait()
    while any(is_alive(pid) for pid in children):
        time.sleep(0.002)
    log = run_folder(tools, "CoLA", "learner-4-p10", 0) / "log.jsonl"
    assert log.read_bytes().count(b'"step"') < STEPS, "the run goes on without its study"
    out, _ = glue(tools, *LONG)
    assert out.endswith("\nstudy: 2 of 2 runs done\n") and "CoLA full" not in out, out
    assert results_of(tools) == expected
    assert tools.snapshot()[str(done)] == before
    assert len(record_of(tools, "CoLA", "learner-4-p10", 0)["parts"]) == 2

    shutil.rmtree(tools / "study")
    process = start(tools, "--jobs", 2)
    wait_for(lambda: steps_of(tools, "full", 25), process)
    for pid in [process.pid, *children_of(process)]:
        os.kill(pid, signal.SIGKILL)
    process.wait()
    log = run_folder(tools, "CoLA", "full", 0) / "log.jsonl"
    with open(log, "ab") as file:
        file.write(b'{"step": 12, "epoch": 0, "lo')
    tools.write(log.with_name("checkpoint.part-1-0"), "half of it")
    glue(tools, *LONG)
    assert results_of(tools) == expected
    assert set(os.listdir(log.parent)) == {"run.json", "losses.txt"}


def check_lock(tools):
    """Two at once in a folder: the second is refused, and the first goes on."""
    make_glue(tools)
    process = start(tools)
    wait_for(lambda: steps_of(tools, "full", 5), process)
    _, err = tools.run("glue", *STUDY, *LONG, "--out", "study", code=1)
    assert err == "glue: study: another glue is at work there\n", err
    out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0 and not err and out.endswith(b"2 of 2 runs done\n")


def check_failure(tools):
    """A run that fails is told of, and the rest goes on; once it can, it is made."""
    make_glue(tools)
    good = tools.read("glue/CoLA/train.tsv")
    tools.write("glue/CoLA/train.tsv", good.replace(b"\t1\t", b"\tperhaps\t", 1))
    out, err = glue(tools, "--seeds", 1, code=1)
    assert out.endswith("\nstudy: 2 of 4 runs done, 2 failed; the same command tries again\n"), out
    lines = err.splitlines()
    assert len(lines) == 2 and all(re.fullmatch(
        r"glue: CoLA (full|learner-8-p2) seed 0 failed: .*train\.tsv.*perhaps.*", line)
        for line in lines), err
    assert not losses_of(tools, "RTE", "full", 0) == []
    out, _ = glue(tools, "--seeds", 1, "--dry-run")
    assert "CoLA full seed 0: failed: " in out and "RTE full seed 0: done" in out
    out, _ = tools.run("glue", "--out", "study", "--table", 2)
    assert "the paper" in out
    tools.write("glue/CoLA/train.tsv", good)
    out, err = glue(tools, "--seeds", 1)
    assert not err and out.endswith("\nstudy: 4 of 4 runs done\n"), out + err
    assert out.count("\n") == 3, "what was done is run again"

    shutil.rmtree(tools / "study")
    process = start(tools)
    wait_for(lambda: steps_of(tools, "full", 20), process)
    os.kill(children_of(process)[0], signal.SIGKILL)
    out, err = map(bytes.decode, process.communicate(timeout=TIMEOUT))
    assert process.returncode == 1 and "1 of 2 runs done, 1 failed" in out, out
    assert err == "glue: CoLA full seed 0 failed: killed by SIGKILL: was there too little memory?\n"
    out, _ = glue(tools, *LONG)
    assert out.endswith("2 of 2 runs done\n") and out.count("\n") == 2
    assert results_of(tools) == whole(tools)


def check_timed(tools):
    """--timed makes anew what had company, and keeps the old result until the new one is there."""
    make_glue(tools)
    few = ["--tasks", "CoLA", "--seeds", 1]
    glue(tools, *few, "--jobs", 2)
    expected = results_of(tools)
    out, _ = glue(tools, *few, "--timed", "--dry-run")
    assert out.startswith("CoLA full seed 0: done, to be made anew for its time\n"), out
    out, _ = glue(tools, *few, "--timed", "--methods", "full", "--keep-models")
    assert out.count("\n") == 2 and results_of(tools) == expected
    assert record_of(tools, "CoLA", "full", 0)["timed"]
    assert (run_folder(tools, "CoLA", "full", 0) / "model.gguf").stat().st_size > 100000
    assert not record_of(tools, "CoLA", "learner-8-p2", 0)["timed"]
    out, _ = glue(tools, *few, "--timed")
    assert out.count("\n") == 2 and record_of(tools, "CoLA", "learner-8-p2", 0)["timed"]
    before = tools.snapshot()
    glue(tools, *few, "--timed")
    assert tools.snapshot() == before


def check_terminal(tools):
    """One line for all of it, with the time left, gone at the end."""
    make_glue(tools)
    shown = on_terminal(tools, 110, "glue", *STUDY, "--out", "study", *LONG)
    bars = [bar for bar in re.findall(r"\r([^\r\n]*?)\033\[K", shown) if bar]
    text = r"[012]/2 runs(, CoLA (full|learner-4-p10) seed 0 epoch \d+/20)?(, \d+:\d\d left)?"
    assert len(bars) > 3 and all(len(bar) < 110 for bar in bars), bars
    assert all(re.fullmatch(r"\[[=> ]{10,40}\] " + text, bar) for bar in bars), bars
    assert bars[-1].endswith(" left") and "=" in bars[-1], bars
    assert screen(shown) == ["study: 2 of 2 runs done", ""], shown
    assert on_terminal(tools, 80, "glue", *STUDY, "--out", "more", *LONG, "--quiet") == ""


run_checks(globals())
