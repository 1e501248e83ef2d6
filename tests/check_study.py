"""What glue makes of finished runs: tables and figures. Usage: check_study.py PROGRAMS, the folder
of glue, finetune and their sisters."""

import csv
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import xml.etree.ElementTree

from glue_harness import glue, losses_of, make_glue, record_of, run_folder
from tools_harness import ENVIRONMENT, run_checks

STUDY = pathlib.Path(sys.argv[1]).resolve() / "study" if len(sys.argv) > 1 else None
COLUMNS = {"CoLA_mcc": ("CoLA", "mcc"), "MNLI_m": ("MNLI", "accuracy"),
           "MNLI_mm": ("MNLI", "accuracy_mm"), "MRPC_acc": ("MRPC", "accuracy"),
           "MRPC_f1": ("MRPC", "f1"), "QNLI_acc": ("QNLI", "accuracy"),
           "QQP_acc": ("QQP", "accuracy"), "QQP_f1": ("QQP", "f1"), "RTE_acc": ("RTE", "accuracy"),
           "SST2_acc": ("SST-2", "accuracy"), "STSB_pearson": ("STS-B", "pearson"),
           "STSB_spearman": ("STS-B", "spearman"), "WNLI_acc": ("WNLI", "accuracy")}
KEYS = ["full", "far-10", "bitfit", "adapter-256", "parallel-512", "freeze-ffn", "learner-8-p0",
        "learner-8-p2", "learner-64-p0", "learner-64-p2", "learner-256-p0", "learner-256-p2"]


def paper(name):
    with open(STUDY / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def table(tools, name):
    """A table's CSV: {method's key, and the phase if there is one: row}."""
    with open(tools / "study" / f"{name}.csv", encoding="utf-8", newline="") as file:
        return {(row["method"], row["phase"]) if "phase" in row else row["method"]: row
                for row in csv.DictReader(file)}


def cells(text, label):
    """The cells of a Markdown table's row, and of the one below it."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(f"| {label} |"))
    return [[cell.strip() for cell in lines[i].split("|")[2:-1]] for i in (at, at + 1)]


def copy_run(tools, task, method, seed, change):
    """A finished run of other names, made of the one that is there: change(record, its last
    epoch)."""
    record = json.loads(tools.read("template.json"))
    study = json.loads(tools.read("study/study.json"))
    study["data"][task] = study["data"]["CoLA"]
    tools.write("study/study.json", json.dumps(study))
    record.update(task=task, method=method, seed=seed)
    change(record, record["epochs"][-1])
    folder = run_folder(tools, task, method, seed)
    tools.write(folder / "run.json", json.dumps(record))
    tools.write(folder / "losses.txt", tools.read("template.txt"))


def begin(tools):
    """A study of one run, for more to be made of."""
    make_glue(tools)
    glue(tools, "--tasks", "CoLA", "--methods", "full", "--seeds", 1)
    folder = run_folder(tools, "CoLA", "full", 0)
    shutil.copy(folder / "run.json", tools / "template.json")
    shutil.copy(folder / "losses.txt", tools / "template.txt")


def copy_paper(tools, spread=0.0):
    """Runs whose scores are the paper's, three seeds that lie a spread apart."""
    for key, row in zip(KEYS, paper("table2.csv")):
        for task in {task for task, _ in COLUMNS.values()}:
            for seed in range(3):
                scores = {metric: (float(row[column]) + spread * (seed - 1)) / 100
                          for column, (of, metric) in COLUMNS.items() if of == task}
                copy_run(tools, task, key, seed, lambda _, last, s=scores: last.update(s))


# ---- scores ----

def check_scores(tools):
    """Means and standard deviations over seeds, beside the paper's; the GLUE score of the paper's
    figures is the paper's."""
    begin(tools)
    copy_paper(tools, spread=0.5)
    out, err = tools.run("glue", "--out", "study", "--table", 2)
    assert not err and out == tools.read("study/table-2.txt").decode()
    text = tools.read("study/table-2.md").decode()
    rows = table(tools, "table-2")
    assert list(rows) == KEYS
    for key, row in zip(KEYS, paper("table2.csv")):
        found = rows[key]
        assert found["label"] == row["method"]
        for column, value in row.items():
            if column == "method":
                continue
            assert float(found[f"{column}_paper"]) == float(value), (key, column)
            assert abs(float(found[column]) - float(value)) < 0.0101, (key, column, found[column])
            assert abs(float(found[f"{column}_sd"]) - 0.5) < 1e-6, (key, column)
            assert found[f"{column}_seeds"] == "3"
        ours, theirs = cells(text, row["method"])
        values = [value for column, value in row.items() if column != "method"]
        assert [cell.split(" \u00b1 ")[0] for cell in ours][:-1] == [f"{float(v):.2f}" for v in
                                                                     values][:-1]
        assert all(cell.endswith(" \u00b1 0.50") for cell in ours), ours
        assert theirs == [f"{float(value):.2f}" for value in values]
    assert "standard deviation over 3 seeds" in " ".join(out.split())
    assert re.search(r"^Learner64 \(p=2\)  +50\.25 \u00b1 0\.50  ", out, re.M), out


def check_gaps(tools):
    """What is not there is a gap, never a zero; without all eight tasks there is no GLUE score."""
    begin(tools)
    copy_paper(tools)
    shutil.rmtree(tools / "study/runs/MNLI/bitfit")
    shutil.rmtree(run_folder(tools, "RTE", "full", 1))
    shutil.rmtree(tools / "study/runs/WNLI")
    for key in "far-10", "freeze-ffn":
        shutil.rmtree(tools / "study/runs/STS-B" / key)
    copy_run(tools, "STS-B", "far-10", 0, lambda _, last: last.update(pearson=None, spearman=None))
    copy_run(tools, "SST-2", "lora-64", 2, lambda _, last: last.update(accuracy=0.0))
    tools.write(run_folder(tools, "QQP", "learner-8-p0", 0) / "run.json",
                json.dumps({**record_of(tools, "QQP", "learner-8-p0", 0), "state": "failed"}))
    out, _ = tools.run("glue", "--out", "study", "--table", 2)
    text, rows = tools.read("study/table-2.md").decode(), table(tools, "table-2")
    dash = "\u2014"
    for key, label, gone in (("bitfit", "BitFit", ["MNLI_m", "MNLI_mm"]),
                             ("far-10", "FAR10", ["STSB_pearson", "STSB_spearman"]),
                             ("freeze-ffn", "Freeze FFNs", ["STSB_pearson", "STSB_spearman"])):
        gone += ["WNLI_acc", "GLUE"]
        shown = cells(text, label)[0]
        for column, cell in zip([*COLUMNS, "GLUE"], shown):
            assert (cell == dash) == (column in gone), (key, column, cell)
            assert (rows[key][column] == "") == (column in gone), (key, column)
            assert (rows[key][f"{column}_seeds"] == "") == (column in gone)
    ours = cells(text, "Baseline")[0]
    assert ours[8] == "60.14 \u00b1 0.00 [2]" and ours[-1] == "79.51 \u00b1 0.00 [2]", ours
    assert rows["full"]["RTE_acc_seeds"] == "2" and rows["full"]["GLUE_seeds"] == "2"
    assert cells(text, "Learner8 (p=0)")[0][6] == "86.19 \u00b1 0.00 [2]"
    ours = cells(text, "LoRA64")[0]
    assert ours == [dash] * 9 + ["0.00 [1]"] + [dash] * 4, ours
    assert rows["lora-64"]["GLUE_paper"] == "" and rows["lora-64"]["SST2_acc"] == "0.0"

    out, _ = tools.run("glue", "--out", "study", "--table", 2, "--methods", "full,lora-64",
                       "--seeds", 1)
    assert list(table(tools, "table-2")) == ["full", "lora-64"]
    assert re.search(r"^Baseline  +52\.56  +82\.06", out, re.M), out

    # Tasks that were not asked for have no column, and some tasks make no GLUE score.
    tools.run("glue", "--out", "study", "--table", 2, "--tasks", "STS-B,CoLA", "--seeds", 1)
    assert [c for c in table(tools, "table-2")["full"] if c.endswith("_paper")] == [
        "CoLA_mcc_paper", "STSB_pearson_paper", "STSB_spearman_paper"]


def check_spread(tools):
    """Of real runs: the mean and the deviation of what each epoch line says last."""
    make_glue(tools)
    glue(tools, "--tasks", "RTE", "--methods", "learner-8-p2", "--seeds", 3, "--table", 2)
    scores = [100 * record_of(tools, "RTE", "learner-8-p2", seed)["epochs"][-1]["accuracy"]
              for seed in range(3)]
    row = table(tools, "table-2")["learner-8-p2"]
    assert abs(float(row["RTE_acc"]) - statistics.mean(scores)) < 1e-3
    assert abs(float(row["RTE_acc_sd"]) - statistics.stdev(scores)) < 1e-3


# ---- time and memory ----

def check_times(tools):
    """Each phase and the whole, and ratios to the baseline, of timed runs alone."""
    make_glue(tools)
    few = ["--tasks", "CoLA", "--methods", "full,learner-64-p2"]
    out, _ = glue(tools, *few, "--seeds", 2, "--table", 1)
    assert "Baseline" in out and "FAR10" not in out, out
    out, _ = tools.run("glue", "--out", "study", "--table", 1)
    text, rows = tools.read("study/table-1.md").decode(), table(tools, "table-1")
    records = [record_of(tools, "CoLA", "learner-64-p2", seed) for seed in (0, 1)]
    base = [record_of(tools, "CoLA", "full", seed) for seed in (0, 1)]
    assert all(record["timed"] for record in records)
    whole, full = rows["learner-64-p2", "whole"], rows["full", "whole"]
    seconds = statistics.mean(record["seconds"] for record in records)
    ratio = seconds / statistics.mean(record["seconds"] for record in base)
    assert abs(float(whole["seconds"]) - seconds) < 2e-3
    assert abs(float(whole["seconds_ratio"]) - ratio) < 2e-3 and full["seconds_ratio"] == "1.0"
    phases = [rows["learner-64-p2", n] for n in "12"]
    for n, row in enumerate(phases):
        kept = [record["phases"][n] for record in records]
        assert int(row["trained_params"]) == kept[0]["trained"]
        assert int(row["planned_bytes"]) == kept[0]["planned_bytes"]
        assert abs(float(row["seconds"]) - statistics.mean(p["seconds"] for p in kept)) < 2e-3
        for part in "weights", "gradients", "moments", "activations":
            assert int(row[f"{part}_bytes"]) == kept[0][f"{part}_bytes"]
    assert int(phases[0]["trained_params"]) > int(phases[1]["trained_params"])
    assert whole["trained_params"] == phases[1]["trained_params"]
    assert int(whole["planned_bytes"]) == max(int(row["planned_bytes"]) for row in phases)
    assert int(whole["process_peak_bytes"]) == max(r["peak_rss_bytes"] for r in records)
    assert int(whole["total_params"]) == records[0]["total"] and whole["runs"] == "2"
    # Of the records: the table's own seconds are rounded, and these runs are short.
    per_step = (sum(record["phases"][0]["seconds"] / 8 for record in records)
                / sum(record["seconds"] / 12 for record in base))
    assert abs(float(phases[0]["seconds_ratio"]) - per_step) < 2e-3

    labels = ["Baseline", "FAR10", "Sequential Adapters", "Parallel Adapters", "Freeze FFNs",
              "BitFit", "Learner64 (p=2)"]
    for label, row in zip(labels, paper("table1.csv")):
        shown = cells(text, label)[0]
        minutes, memory = float(row["time_min"]) / 56.87, float(row["peak_memory_GB"]) / 1.306
        assert shown[8:] == [row["total_params_M"], row["trained_params_M"], row["time_min"],
                             f"{minutes:.2f}", row["peak_memory_GB"], f"{memory:.2f}"], shown
        assert (shown[:8] == ["\u2014"] * 8) == (label not in ("Baseline", labels[-1])), shown
    assert [line.strip() for line in out.splitlines() if line.startswith("  phase")][0].startswith(
        "phase 1")
    assert rows["far-10", "whole"]["seconds"] == "" and "FAR10" in out


def check_untimed(tools):
    """Runs that had company, or were stopped, have no place in the table of times, nor have those
    of two machines."""
    make_glue(tools)
    few = ["--tasks", "CoLA", "--methods", "full,learner-8-p2"]
    glue(tools, *few, "--seeds", 1)
    glue(tools, *few, "--methods", "bitfit", "--seeds", 2, "--jobs", 2)
    refused = tools.fails("glue", "--out", "study", "--table", 1, says=(
        "table 1: 2 runs of CoLA had no machine to themselves; make them anew with --timed: "))
    assert refused.endswith(": bitfit seed 0 (2 at a time), bitfit seed 1 (2 at a time)\n"), refused
    tools.fails("glue", "--out", "study", "--tables", "--figures", says="table 1: 2 runs of CoLA")
    tools.run("glue", "--out", "study", "--table", 1, "--methods", "full,learner-8-p2")
    glue(tools, *few, "--methods", "bitfit", "--seeds", "0,", "--timed")
    tools.run("glue", "--out", "study", "--table", 1)
    assert table(tools, "table-1")["bitfit", "whole"]["runs"] == "1"

    path = run_folder(tools, "CoLA", "full", 0) / "run.json"
    good = record_of(tools, "CoLA", "full", 0)
    bad = {**good, "parts": [{**good["parts"][0], "processor": "another"}]}
    tools.write(path, json.dumps(bad))
    tools.fails("glue", "--out", "study", "--table", 1, says="their times can't be compared")
    tools.write(path, json.dumps({**good, "timed": False, "parts": good["parts"] * 2}))
    tools.fails("glue", "--out", "study", "--table", 1, says="full seed 0 (stopped and gone on)")
    tools.wrong("glue", "--out", "study", "--table", 1, "--tasks", "CoLA,RTE",
                says="--table 1 is of one task")


# ---- figures ----

def check_figures(tools):
    """A picture of each task, with every curve named, the flip marked, and data that is the
    runs'."""
    make_glue(tools)
    glue(tools, "--seeds", 2, "--methods", "full,learner-8-p2")
    glue(tools, "--seeds", 1, "--methods", "far-10,bitfit", "--tasks", "CoLA")
    out, err = tools.run("glue", "--out", "study", "--figures")
    assert not err
    names = ["figure-CoLA", "figure-RTE"]
    assert out.splitlines() == [*(f"study/figures/{name}.{ending}" for name in names
                                  for ending in ("svg", "png")), "study/figures/figures.md"], out
    for name in names:
        svg = tools / f"study/figures/{name}.svg"
        xml.etree.ElementTree.parse(svg)
        words = [text.strip() for text in re.findall(r">([^<>]+)</", svg.read_text())]
        assert "Training loss" in words and "Step" in words and "Epoch" in words, words
        assert f"Training loss on {name[7:]}" in words and "Baseline" in words
        assert ("FAR10" in words) == ("BitFit" in words) == (name == "figure-CoLA")
        assert ("flip: from here on" in words) == (name == "figure-CoLA"), words
        png = tools.read(f"study/figures/{name}.png")
        assert png.startswith(b"\x89PNG\r\n\x1a\n") and len(png) > 20000
    captions = tools.read("study/figures/figures.md").decode()
    assert "on CoLA (the paper's Figure 2, 20 epochs there): model.gguf, 3 epochs" in captions
    assert "mean over 2 seeds, moving mean over 1 step" in captions
    assert "Seeds that are there of others: FAR10 1, BitFit 1." in captions
    assert "Not run: FAR10, Sequential Adapters, Parallel Adapters, Freeze FFNs, BitFit" in captions
    blocks = dict(re.findall(r"^# (.+)\n((?:[^#\n]+\n)+)", tools.read(
        "study/figures/figure-CoLA.dat").decode(), re.M))
    assert blocks["full raw"].split()[1::2] == losses_of(tools, "CoLA", "full", 0)
    means = [(float(a) + float(b)) / 2 for a, b in zip(losses_of(tools, "CoLA", "full", 0),
                                                       losses_of(tools, "CoLA", "full", 1))]
    smooth = [float(value) for value in blocks["full smooth"].split()[1::2]]
    assert len(smooth) == len(means) and all(abs(a - b) < 1e-4 for a, b in zip(smooth, means))
    assert blocks["far-10 flip"].split()[0] == "1" and "bitfit flip" not in blocks
    assert 'data index "far-10 flip" with points' in tools.read(
        "study/figures/figure-CoLA.gp").decode()

    out, _ = tools.run("glue", "--out", "study", "--figures", "--methods", "full,learner-8-p2",
                       "--tasks", "CoLA", "--quiet")
    assert not out
    data = tools.read("study/figures/figure-CoLA.dat").decode()
    assert "# learner-8-p2 flip\n8 " in data and "bitfit" not in data
    svg = tools / "study/figures/figure-CoLA.svg"
    assert "Learner8 (p=2)" in svg.read_text()
    svg.unlink()
    subprocess.run(["gnuplot", "figure-CoLA.gp"], cwd=tools / "study/figures", check=True)
    assert svg.exists(), "a user can't draw it anew"
    nothing = tools / "nothing"
    nothing.mkdir()
    (nothing / "python3").symlink_to(sys.executable)
    tools.fails("glue", "--out", "study", "--figures", env={**ENVIRONMENT, "PATH": str(nothing)},
                says="--figures needs gnuplot: apt-get install gnuplot-nox")


def check_learners(tools):
    """Many learners have a picture of their own."""
    begin(tools)
    for key in KEYS[1:]:
        copy_run(tools, "CoLA", key, 0, lambda record, _: None)
    out, _ = tools.run("glue", "--out", "study", "--figures")
    assert [pathlib.Path(line).stem for line in out.split()] == [
        "figure-CoLA"] * 2 + ["figure-CoLA-learners"] * 2 + ["figures"]
    for name, n in ("figure-CoLA", 7), ("figure-CoLA-learners", 7):
        data = tools.read(f"study/figures/{name}.dat").decode()
        assert data.count(" smooth\n") == n, name


# ---- parts ----

def check_logs(tools):
    """A log with steps twice, phases again and a line cut off is read as one of a run that was not
    stopped."""
    sys.path.insert(0, str(STUDY.parent))
    from study.logs import Log, cut_broken_line
    from study.plan import choose_seeds

    def step(number, loss):
        return json.dumps({"step": number, "epoch": (number - 1) // 3, "loss": loss, "lr": 1e-5,
                           "tokens": 10 * number, "seconds": loss}) + "\n"

    def phase(number, first):
        return json.dumps({"phase": number, "first_step": first, "trained": 9 - number,
                           "total": 9, "planned_bytes": 5}) + "\n"
    epoch = [json.dumps({"epoch": n, "seconds": 99, "loss": 1.0, "mcc": n / 2, "trained": 1,
                         "weights_bytes": 1}) + "\n" for n in (0, 1)]
    path = tools.write("l.jsonl", phase(0, 0) + step(1, 1) + step(2, 2) + step(3, 3) + epoch[0]
                       + phase(1, 3) + step(4, 8) + step(5, 9) + '{"step": 6, "epo')
    cut_broken_line(path)
    assert path.read_text().endswith(step(5, 9))
    with open(path, "a", encoding="ascii") as file:
        file.write(phase(1, 3) + step(4, 4) + step(5, 5))
        assert not Log(path).is_whole(2) and Log(path).is_whole(1)
        file.flush()
        file.write(step(6, None) + epoch[1])
    log = Log(path)
    assert list(log.losses)[:5] == [1, 2, 3, 4, 5] and str(log.losses[5]) == "nan"
    assert log.is_whole(2)
    assert [(p["steps"], p["seconds"], p["tokens"]) for p in log.phase_lines()] == [
        (3, 6.0, 60), (3, 9.0, 150)]
    assert [(e["seconds"], e["mcc"]) for e in log.epoch_lines()] == [(6.0, 0.0), (9.0, 0.5)]
    assert all("trained" not in e for e in log.epoch_lines())
    assert choose_seeds("3") == [0, 1, 2] and choose_seeds("7,") == [7]
    assert choose_seeds("0,4-6,5") == [0, 4, 5, 6]


def check_clock(tools):
    """The time left is what runs of the same task and method took, then what the method took a
    token, then what anything took."""
    sys.path.insert(0, str(STUDY.parent))
    from study.clock import Clock, clock_text
    from study.runs import choose
    from study import methods
    full, bitfit = methods.choose("full,bitfit")
    runs = choose(tools.folder, ["CoLA", "RTE"], [full, bitfit], [0, 1])
    first, second, third, fourth = runs[:4]
    clock = Clock(5, {"CoLA": 8551, "RTE": 2490})
    assert clock.left(runs, [], 1) is None
    clock.add(first, 100.0, 1.0)
    assert clock.expect(runs[4]) == 100.0 and clock.expect(second) == 100.0
    more = clock.work(third) / clock.work(first)
    assert abs(clock.expect(third) - 100 * more) < 1e-9
    clock.add(second, 50.0, 1.0)
    assert clock.expect(second) == 50.0 and abs(clock.expect(fourth) - 50 * more) < 1e-9
    assert abs(clock.left([first, second], [], 1) - 150) < 1e-9
    assert abs(clock.left([first, second], [], 2) - 100) < 1e-9
    assert abs(clock.left([], [(runs[5], 0.6, 0.2, 20.0)], 1) - 0.4 * 70 / 1.2) < 1e-9
    assert clock_text(7660.4) == "2:07:40" and clock_text(61) == "1:01"


run_checks(globals())
