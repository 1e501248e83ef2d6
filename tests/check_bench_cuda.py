"""tools/bench --backend cuda: its runs of programs whose GPU is emulated, beside a peer that makes
its figures up, and its tables, of figures made up here. No time is looked at. Usage:
check_bench_cuda.py PROGRAMS, the folder of the emulated programs."""

import json
import pathlib
import stat
import subprocess
import sys

from tools_harness import ENVIRONMENT, make_rows, run_checks

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from measure import cases, gpu_cases, gpu_runs, gpu_tables, settings, tables  # noqa: E402

# So small that what is measured to tell its speeds is small too.
SMALL = dict(ENVIRONMENT, PR_EMULATED_MACHINE="memory=40000000")
# In the place of a Python with PyTorch: notes what it is asked, and fails where it is to compile
# all weights.
PEER = """#!/bin/sh
echo "$*" >> asked
case "$*" in *full*--compile*) echo "no compiler" >&2; exit 1;; esac
echo '{"steps": 4, "median_step_s": 0.02, "real_tokens_per_s": 1000.0, "mean_tokens": 100.0,'\\
     '"device_peak_bytes": 1000000000, "device_reserved_bytes": 1100000000, "compiled_late": 0,'\\
     '"first_step_s": 9.0, "wall_s": 12.0, "device": {"gpu": "a GPU", "torch": "2.11.0",'\\
     '"cuda": "13.0", "transformers": "5.17.0", "lora": "plain PyTorch"}}'
"""


def begin(tools):
    for name, n, seed in ("train.tsv", 200, 1), ("dev.tsv", 30, 2):
        tools.write(f"CoLA/{name}", "".join(f"x\t{int(label == 'yes')}\t\t{text}\n"
                                            for text, label in make_rows(n, seed)))
    tools.write("peer", PEER).chmod(stat.S_IRWXU)
    return ["--data", "CoLA", "--backend", "cuda", "--programs", tools.programs, "--model",
            tools.make_model(), "--steps", 4, "--threads", 1, "--scratch", "scratch"]


def bench(tools, *arguments, code=0, env=SMALL):
    done = subprocess.run([sys.executable, ROOT / "tools" / "bench", *map(str, arguments)],
                          cwd=tools.folder, env=env, capture_output=True, text=True, timeout=300,
                          check=False)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stdout, done.stderr


def cells(text, heading, name):
    """The row of a case in the table whose first line begins so."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.split()[:len(heading)] == heading)
    return next(line.split() for line in lines[at:] if line.split()[:1] == [name])


def check_runs(tools):
    """Primer alone: all figures are there, and the tables come of what was kept too."""
    out, err = bench(tools, *begin(tools), "--no-peer", "--only", "learner-bf16", "--profile",
                     "--json", "b.json", "--markdown")
    assert err.splitlines() == ["1/1: learner-bf16, primer", "profile: learner-bf16, primer"], err
    found = json.loads(tools.read("b.json"))
    assert found["backend"] == "cuda" and found["machine"]["name"] == "an emulated device"
    assert found["host"]["processor"] and found["host"]["cores"] and not found["host"]["peer"]
    case = found["cases"]["learner-bf16"]
    assert len(case["runs"]["primer"]) == 1
    median = case["medians"]["primer"]
    assert median["steps"] == 4 and median["device_peak_bytes"] >= median["planned_bytes"]
    listed = case["profile"]["products"]
    assert [row["product"] for row in listed] == [row["product"] for row in case["products"]]
    assert all(row["product"].endswith(",bf16") for row in listed) and len(listed) > 10
    assert all(0 < row["best_s"] <= row["kernel_s"] and row["calls"] > 0
               for row in case["products"])
    assert "GPU: an emulated device, compute capability 8.0, 8 multiprocessors, 0 GB;" in out
    assert cells(out, ["case", "peer", "steps/s"], "learner-bf16")[1] == "-"
    planned = f"{median['planned_bytes'] / 1e6:.0f}"
    assert cells(out, ["case", "peer", "planned"], "learner-bf16")[2] == planned
    assert cells(out, ["case", "products"], "learner-bf16")[6] == "0.7"
    assert f"| {gpu_cases.ALL['learner-bf16'].title} | " in out
    again, _ = bench(tools, "--from", "b.json", "--profile", "--markdown")
    assert again == out


def check_peers(tools):
    """What they tell is kept; one that fails is left out, and told."""
    run = begin(tools)
    out, err = bench(tools, *run, "--peer-model", "peer-model", "--python", tools / "peer",
                     "--only", "full,learner", "--json", "b.json", code=1)
    assert err.splitlines()[:2] == ["1/1: full, primer", "1/1: full, PyTorch"]
    assert "bench: full, compiled: left out: " in err and "no compiler" in err
    asked = tools.read("asked").decode().splitlines()
    assert len(asked) == 4 and all(line.startswith(f"{ROOT}/tests/peer.py ") for line in asked)
    found = json.loads(tools.read("b.json"))
    assert set(found["cases"]["full"]["medians"]) == {"primer", "torch"}
    assert set(found["cases"]["learner"]["medians"]) == {"primer", "torch", "compiled"}
    assert "Peer: PyTorch 2.11.0 with CUDA 13.0, transformers 5.17.0, LoRA layers of plain" in out
    assert out.splitlines()[-1] == "Left out: full, compiled: no compiler"


def check_commands(tools):
    """The same work for all: batches, lengths, steps, the GPU."""
    words = [str(word) for word in begin(tools)]
    words[words.index("CoLA")] = str(tools / "CoLA")
    words[words.index("scratch")] = str(tools / "scratch")
    a = settings.read([*words, "--peer-model", "hf", "--python", sys.executable, "--gpu", "1",
                       "--steps", "10"])
    assert [case.name for case in a.cases] == list(gpu_cases.ALL)
    made = gpu_runs.GpuBench(a)
    for case in a.cases:
        commands = {who: " ".join(map(str, command)) for who, command in
                    made.commands(case).items()}
        assert list(commands) == ["primer", "torch", "compiled"]
        long = case.texts == "long"
        for who, command in commands.items():
            assert f"--batch-size {32 if long else 16} " in command, command
            assert f"--steps {2 if long else 10} " in command, command
            assert str(tools / ("scratch/long" if long else "CoLA")) in command, command
            assert ("bf16" in command) == ("bf16" in case.name), command
            assert ("--compile" in command) == (who == "compiled"), command
            device = "--backend cuda --gpu 1" if who == "primer" else "--device cuda --gpu 1"
            assert device in command, command
            assert ("--max-length 128" in command) == (long and who == "primer"), command
    rows = tools.read("scratch/long/train.tsv").decode().splitlines()
    assert len(rows) > 2 * 32 + 1, "an epoch would end, and the dev set be scored"


def check_failures(tools):
    """A GPU that is not there, and programs that are not: told, with nothing of a traceback."""
    run = [*begin(tools), "--no-peer", "--only", "full"]
    _, err = bench(tools, *run, code=1, env=dict(SMALL, PR_EMULATED_MACHINE="no-device"))
    assert "no NVIDIA GPU was found" in err and "Traceback" not in err, err
    _, err = bench(tools, *run, "--programs", "nowhere", code=1)
    assert "has Primer been built?" in err and "Traceback" not in err, err
    _, err = bench(tools, *run, "--model", "none.gguf", code=1)
    assert "none.gguf" in err and "bench: nothing was measured" in err, err


def check_wrong_use(tools):
    run = [*begin(tools), "--no-peer"]
    for words, says in ((["--only", "predict"], "unknown case 'predict': expected some of full,"),
                        (["--lengths", "--only", "learner"], "are for the processor"),
                        (["--scaling"], "are for the processor")):
        _, err = bench(tools, *run, *words, code=2)
        assert says in err, err
    _, err = bench(tools, "--backend", "cuda", code=2)
    assert "--data is missing" in err, err
    _, err = bench(tools, "--from", "nowhere.json", code=1)
    assert "bench: --from nowhere.json: " in err and "Traceback" not in err, err


def check_time_limit(tools):
    """No case begins when the time is up; what there is has its tables."""
    run = [*begin(tools), "--no-peer", "--only", "learner,learner-bf16", "--within", 1]
    peer = tools.write("slow", "#!/bin/sh\nsleep 1.1\nexec " + str(tools / "peer") + " \"$@\"\n")
    peer.chmod(stat.S_IRWXU)
    out, _ = bench(tools, *[word for word in run if word != "--no-peer"], "--peer-model", "x",
                   "--python", peer, code=1)
    assert cells(out, ["case", "peer", "steps/s"], "learner")
    assert "Left out: learner-bf16, turn 1: there was no time left for it" in out


# ---- tables ----

def primer(tokens_per_s, step, **more):
    return {"real_tokens_per_s": tokens_per_s, "mean_tokens": 200.0, "median_step_s": step,
            "mean_flops": 50e9, "mean_bytes": 3e9, "planned_bytes": 800e6,
            "device_peak_bytes": 820e6, "device_beside_bytes": 500e6, "first_step_s": 0.9, **more}


def peer(tokens_per_s, peak, late=0):
    return {"real_tokens_per_s": tokens_per_s, "mean_tokens": 210.0, "median_step_s": 0.02,
            "device_peak_bytes": peak, "first_step_s": 8.0, "compiled_late": late}


def make_found(name, products=(), **medians):
    return {"backend": "cuda", "steps": 500, "rounds": 1, "left_out": {},
            "host": {"processor": "A processor", "cores": 16, "driver": "580.1", "peer": None},
            "machine": {"name": "A GPU", "capability": "9.0", "multiprocessors": 132,
                        "memory_bytes": 80e9, "driver_cuda": "13.0", "cuda": "13.0",
                        "cublaslt": "13.1.0", "flops": 50e12, "tf32_flops": 300e12,
                        "bf16_flops": 500e12, "bytes": 3e12},
            "cases": {name: {"medians": medians, "products": list(products)}}}


def check_goals(_):
    """What misses its goal is marked, and nothing else."""
    good = make_found("full-long", [row(2, 3e-6, 2.5e-6, 2e-6), row(1, 6e-6, 5e-6, 4e-6)],
                      primer=primer(6000, 0.0029), torch=peer(1000, 1e9),
                      compiled=peer(3000, 0.95e9))
    text = gpu_tables.text(good, False)
    assert tables.MISSED not in text.replace("!: misses", ""), text
    assert cells(text, ["case", "peer", "steps/s"], "full-long") == [
        "full-long", "PyTorch", "30.0", "4.8", "6.00", "-", "6000", "1000", "2.90", "20.00", "0.9",
        "8.0"]
    assert cells(text, ["case", "peer", "planned"], "full-long") == [
        "full-long", "PyTorch", "800", "820", "500", "1000", "0.800", "0.85"]
    # 50 GFLOP at 50,000 a second and 3 GB at 3,000
    assert cells(text, ["case", "GFLOP"], "full-long") == [
        "full-long", "50.0", "3.00", "2.00", "2.90", "1.45", "1.5"]
    assert cells(text, ["case", "products"], "full-long") == [
        "full-long", "3", "0.01", "0.01", "0.01", "0.80", "0.7", "0.67", "8x8x8,tb", "0.80"]
    bad = make_found("full", [row(1, 4e-6, 3e-6, 2e-6)], primer=primer(5900, 0.0031),
                     torch=peer(1000, 0.94e9), compiled=peer(2960, 0.9e9, 2))
    text = gpu_tables.text(bad, False)
    missed = [cell for cell in text.split() if cell.endswith(tables.MISSED)]
    assert missed == ["5.90!", "1.99!", "0.851!", "0.889!", "0.67!"], text
    assert cells(text, ["case", "GFLOP"], "full")[5:] == ["1.55", "-"], "CoLA has no such goal"
    assert "full: torch.compile compiled 2 graphs more" in text


def row(calls, seconds, kernel, best):
    return {"product": "8x8x8,tb", "calls": calls, "seconds": seconds, "kernel_s": kernel,
            "best_s": best, "tried": 3}


def check_bf16_bound(_):
    """All products of a run in bf16 are in bf16."""
    found = make_found("learner-bf16-long", primer=primer(1, 0.00165))
    assert cells(gpu_tables.text(found, False), ["case", "GFLOP"], "learner-bf16-long") == [
        "learner-bf16-long", "50.0", "3.00", "1.10", "1.65", "1.50", "1.5"]


def check_markdown(_):
    found = make_found("learner", [row(1, 4e-6, 3e-6, 2e-6)], primer=primer(5900, 0.002),
                       torch=peer(1000, 0.94e9), compiled=peer(2360, 0.9e9))
    assert gpu_tables.markdown(found).splitlines()[2:] == [
        "| learners of rank 64, primed | 29.5 | 4.8 | 5.90 | 6 | 11.2 | 2.50 | 2 | 800 | 0.851 "
        "| 0.889 | 0.9 | 1.00 | 0.67 |"]
    del found["cases"]["learner"]["medians"]["compiled"]
    assert "| 5.90 | 6 | - | - | - | 800 | 0.851 | - | 0.9 |" in gpu_tables.markdown(found)


def check_profiles(_):
    """Ops and products, the longest first, where they are asked for."""
    found = make_found("learner", [row(1, 4e-6, 3e-6, 2e-6), row(2, 9e-6, 8e-6, 8e-6)],
                       primer=primer(5900, 0.002))
    found["cases"]["learner"]["profile"] = {"step_s": 0.004, "outside_s": 0.001, "ops": [
        {"op": "matmul", "part": "forward", "share": 0.75, "seconds": 0.003, "calls": 38}]}
    lines = [line.split() for line in gpu_tables.text(found, True).splitlines()]
    assert ["matmul", "forward", "75.0", "%", "3000.0", "38"] in lines
    assert ["outside", "of", "nodes", "25.0", "%", "1000.0"] in lines
    at = lines.index(["product", "calls", "us", "kernel", "best", "best/kernel"])
    assert lines[at + 1:at + 3] == [["8x8x8,tb", "2.00", "9.0", "8.0", "8.0", "1.00"],
                                    ["8x8x8,tb", "1.00", "4.0", "3.0", "2.0", "0.67"]]
    assert "matmul" not in gpu_tables.text(found, False)


def check_cases(_):
    """Each is measured against both peers; the one is the other compiled."""
    for case in gpu_cases.ALL.values():
        assert set(case.peers) == {"torch", "compiled"} <= set(cases.PEERS), case.name
        assert case.peers["compiled"] == [*case.peers["torch"], "--compile"]
        assert set(case.ratios) in (set(), set(case.peers)), case.name
        assert ("bf16" in case.ours) == ("--bf16" in case.peers["torch"]) == ("bf16" in case.name)
        assert (case.texts == "long") == (case.batch == 32) == (case.of_bound is not None)


run_checks(globals())
