"""tools/bench: its runs of Primer, on a small model without the peer, and its tables, of figures
that are made up. No time is looked at. Usage: check_bench.py PROGRAMS, the folder of bench and its
sisters."""

import json
import pathlib
import sys

from tools_harness import ENVIRONMENT, TIMING, make_rows, run_checks

sys.path.insert(0, str(pathlib.Path(sys.argv[-1]).resolve()))

from measure import cases, lengths, tables, texts  # noqa: E402

BATCH = 16


def make_cola(tools):
    """A folder of CoLA's form: source, label, a mark, sentence; without a heading."""
    for name, n, seed in ("train.tsv", 200, 1), ("dev.tsv", 30, 2):
        tools.write(f"CoLA/{name}", "".join(f"x\t{int(label == 'yes')}\t\t{text}\n"
                                            for text, label in make_rows(n, seed)))


def begin(tools):
    make_cola(tools)
    return ["--data", "CoLA", "--model", tools.make_model(), "--no-peer", "--steps", 4, "--rounds",
            1, "--threads", 1, "--scratch", "scratch"]


def cells(text, heading, name):
    """The row of a case in the table whose first line begins so, by column."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.split()[:2] == heading)
    return next(line.split() for line in lines[at:] if line.split()[:1] == [name])


def check_runs(tools):
    run = begin(tools)
    out, err = tools.run("bench", *run, "--only", "bitfit,predict", "--profile", "--json", "b.json",
                         "--markdown")
    assert err.splitlines() == [
        "warm-up: bitfit, primer", "warm-up: predict, primer", "1/1: bitfit, primer",
        "1/1: predict, primer", "profile: bitfit, primer", "profile: predict, primer"]
    found = json.loads(tools.read("b.json"))
    assert list(found["cases"]) == ["bitfit", "predict"] and found["threads"] == 1
    for name, steps in ("bitfit", 4), ("predict", 2):
        case = found["cases"][name]
        assert set(case["medians"]) == set(case["runs"]) == {"primer"}
        assert set(TIMING) <= set(case["medians"]["primer"])
        assert len(case["runs"]["primer"]) == 1 and case["runs"]["primer"][0]["steps"] == steps
        median = case["medians"]["primer"]
        row = cells(out, ["case", "peer"], name)
        assert row[1:7] == ["-", f"{median['real_tokens_per_s']:.0f}", "-", "-", "-",
                            f"{median['peak_rss_gb']:.3f}"]
        assert row[8] == f"{cases.ALL[name].memory:g}"
        assert cells(out, ["case", "GFLOP"], name)[1] == f"{median['mean_flops'] / 1e9:.1f}"
        assert f"\n{name}: a step takes " in out
        assert f"| {cases.ALL[name].title} | {median['real_tokens_per_s']:.0f} | - |" in out
    assert "The machine: products of matrices " in out and "matmul" in out
    assert out.count("outside of nodes") == 2


def check_lengths(tools):
    """Every length once, its tokens all real, with fewer steps of longer texts."""
    run = begin(tools)
    out, err = tools.run("bench", *run, "--lengths", "--json", "b.json")
    found = json.loads(tools.read("b.json"))["lengths"]
    assert [f["length"] for f in found] == list(lengths.LENGTHS)
    assert [line.split()[0] for line in err.splitlines()] == [str(n) for n in lengths.LENGTHS]
    assert [f["tokens"] for f in found] == [BATCH * n for n in lengths.LENGTHS]
    assert all(f["attention_s"] > 0 and f["rest_s"] > 0 for f in found)
    rows = out.splitlines()[-len(found):]
    assert [row.split()[0] for row in rows] == [str(n) for n in lengths.LENGTHS]


def check_environment(tools):
    """What OpenBLAS is told is told to the reader, and is left as it is."""
    run = begin(tools)
    told = dict(ENVIRONMENT, OPENBLAS_CORETYPE="Haswell", OPENBLAS_L2_SIZE="512")
    out, _ = tools.run("bench", *run, "--only", "bitfit", "--json", "b.json", env=told)
    first = out.splitlines()[0]
    assert "OPENBLAS_CORETYPE=Haswell" in first and "OPENBLAS_L2_SIZE=512" in first
    assert json.loads(tools.read("b.json"))["environment"]["OPENBLAS_L2_SIZE"] == "512"
    plain = {name: value for name, value in ENVIRONMENT.items() if not name.startswith("OPENBLAS")}
    out, _ = tools.run("bench", *run, "--only", "bitfit", env=plain)
    assert "OPENBLAS" not in out


def check_wrong_use(tools):
    run = begin(tools)
    for words, says in ((["--only", "bitfit,fool"], "unknown case 'fool': expected some of full,"),
                        (["--scaling"], "--scaling compares one thread with more"),
                        (["--rounds", "0"], "expected 1 or more"),
                        (["--data", "nowhere"], "nowhere/train.tsv is missing"),
                        (["--json", "no/b.json"], "--json no/b.json: there is no such folder")):
        _, err = tools.run("bench", *run, *words, code=2)
        assert says in err, err
    _, err = tools.run("bench", *run, "--only", "bitfit", "--model", "none.gguf", code=1)
    assert "finetune: none.gguf: " in err and "Traceback" not in err


def check_long_texts(tools):
    """Of 128 tokens and no more after the cut, as many as a run takes, all of one label's kind."""
    make_cola(tools)
    texts.write_long(tools / "CoLA", tools / "long", 300)
    for name in "train.tsv", "dev.tsv":
        sentences = [line.split("\t") for line in tools.read(f"CoLA/{name}").decode().splitlines()]
        head, *rows = tools.read(f"long/{name}").decode().splitlines()
        assert head == "sentence\tlabel" and len(rows) == 300
        for i, row in enumerate(rows):
            text, label = row.split("\t")
            own = sentences[i % len(sentences)]
            assert label == own[1] and text.startswith(own[3]) and 126 <= len(text.split()) < 140


# ---- tables ----

def timing(tokens, peak, step, **more):
    return {"weights_bytes": 0.5e9, "trained": 12500000, "lower_bound_bytes": 0.18e9,
            "real_tokens_per_s": tokens, "peak_rss_gb": peak, "median_step_s": step,
            "first_step_s": 0.5, "mean_flops": 50e9, "mean_bytes": 4e9, "planned_bytes": 0.8e9,
            **more}


def make_found(name, **by_who):
    return {"steps": 40, "rounds": 3, "threads": 2,
            "machine": {"flops": 500e9, "bytes": 40e9, "kernels": "Zen"},
            "cases": {name: {"medians": by_who, "runs": {}}}}


def check_goals(_):
    """What misses its goal is marked, and nothing else."""
    good = make_found("full", primer=timing(600, 0.82, 0.24), torch=timing(200, 2.4, 0.9),
                      **{"one thread": timing(310, 0.8, 0.48)})
    text = tables.text(good)
    assert tables.MISSED not in text.split("\n", 1)[1]
    assert cells(text, ["case", "peer"], "full") == [
        "full", "PyTorch", "600", "200", "3.00", "3", "0.820", "2.400", "0.95", "0.240", "0.900",
        "0.50", "0.50"]
    # 50 GFLOP at 500 a second and 4 GB at 40
    assert cells(text, ["case", "GFLOP"], "full") == [
        "full", "50.0", "4.00", "0.200", "0.240", "1.20", "1.00", "1.00", "0.800", "1.026",
        "0.020", "2.00"]
    bad = make_found("full", primer=timing(590, 0.96, 0.26, first_step_s=1.2,
                                             lower_bound_bytes=0.16e9),
                     torch=timing(200, 2.4, 0.9), **{"one thread": timing(310, 0.8, 0.40)})
    text = tables.text(bad)
    row, bound = cells(text, ["case", "peer"], "full"), cells(text, ["case", "GFLOP"], "full")
    assert [cell for cell in row if tables.MISSED in cell] == ["2.95!", "0.960!", "1.20!"]
    assert [cell for cell in bound if tables.MISSED in cell] == ["1.30!", "1.053!", "0.160!",
                                                                    "1.54!"]


def check_peers(_):
    """A line for each peer; no goal where a case has none."""
    found = make_found("predict", primer=timing(1000, 0.3, 0.1), torch=timing(400, 1.1, 0.2),
                       onnx=timing(800, 0.4, 0.2))
    lines = tables.markdown(found).splitlines()
    assert lines[2:] == [
        "| prediction | 1000 | 400 | 2.50 | 2.5 | 0.300 | 1.100 | 0.35 | 0.50 |",
        "| prediction, ONNX Runtime | 1000 | 800 | 1.25 | 1.5 | 0.300 | 0.400 | 0.35 | 0.50 |"]
    assert "1.25!" in tables.text(found)
    found = make_found("lora", primer=timing(1, 9.0, 0.1, planned_bytes=9e9,
                                              weights_bytes=9e9), torch=timing(400, 1.1, 0.2))
    assert tables.MISSED not in tables.text(found).split("\n", 1)[1]


def check_roof(_):
    """Speeds as parts of the machine's; small ops in a line of their own."""
    ops = [("matmul", 0.6, 0.06, 24e9, 0.6e9), ("add", 0.3999, 0.03999, 0, 0.8e9),
           ("scale", 0.0001, 0.00001, 0, 0)]
    found = make_found("full", primer=timing(600, 0.82, 0.24))
    found["cases"]["full"]["profile"] = {"steps": 4, "step_s": 0.1, "outside_s": 0.0, "ops": [
        dict(zip(("op", "share", "seconds", "flops", "bytes"), op), part="forward") for op in ops]}
    lines = [line.split() for line in tables.text(found).splitlines()]
    assert ["matmul", "forward", "60.0", "%", "60.00", "400.0", "80", "%", "10.0", "25", "%"
            ] in lines
    assert ["add", "forward", "40.0", "%", "39.99", "20.0", "50", "%"] in lines
    assert ["1", "others", "0.0", "%", "0.01"] in lines
    assert ["outside", "of", "nodes", "0.0", "%", "0.00"] in lines


def check_cases(_):
    """Each is measured against somebody, and its goals are of those it is measured against."""
    for case in cases.ALL.values():
        assert case.peers and set(case.ratios) <= set(case.peers) <= set(cases.PEERS), case.name


run_checks(globals())
