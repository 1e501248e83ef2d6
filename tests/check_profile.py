"""--profile: which ops a step's time goes to. Usage: check_profile.py PROGRAMS, the folder of
finetune and its sisters."""

import json
import math
import re

from tools_harness import RUN_FAST, run_checks

STEPS = 6  # 40 texts in batches of 16, twice
LAYERS, LINEAR, HEAD = 2, 6, 2  # of the tiny model: layers, products of a block, of the head
OPS = {("matmul", "forward"), ("matmul", "gradient of input"), ("matmul", "gradient of weight"),
       ("attention", "forward"), ("attention_grad", "gradient"), ("gelu", "recomputed"),
       ("layer_norm_grad", "gradient"), ("residual_norm", "forward"),
       ("residual_norm_grad", "gradient"), ("layer_norm", "recomputed"),
       ("embed_grad", "gradient"), ("cross_entropy", "forward"),
       ("sum_squares", "update"), ("clip_factor", "update"), ("adamw", "update")}
ROW = re.compile(r" {2}(\w+) +([a-z ]*[a-z]) +(\d+\.\d) % +(\d+\.\d{3}) +(\d+\.\d)"
                 r"(?: +(\d+\.\d))? +(\d+\.\d)")
PRODUCT = re.compile(r"\d+x\d+x\d+(,ta)?(,tb)?(,bias)?(,onto)?(,half,bf16)?")
REST = re.compile(r" {2}outside of nodes +(\d+\.\d) % +(\d+\.\d{3})")


def begin(tools):
    tools.make_model()
    return ["model.gguf", *tools.make_data(), *RUN_FAST]


def read_table(text, what):
    """{(op, part): (percent, ms, calls)}, that of what is outside of nodes under None."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(f"A {what} takes "))
    ms, steps = re.fullmatch(rf"A {what} takes (\d+\.\d) ms, the mean of (\d+):",
                             lines[at]).groups()
    assert lines[at + 1].split() == ["op", "part", "time", "ms", "calls", "GFLOP/s", "GB/s"]
    table = {}
    for line in lines[at + 2:-1]:
        op, part, percent, row_ms, calls, _, _ = ROW.fullmatch(line).groups()
        assert (op, part) not in table, line
        table[op, part] = float(percent), float(row_ms), float(calls)
    times = [row[1] for row in table.values()]
    assert times == sorted(times, reverse=True), "what takes longest is not first"
    table[None] = *map(float, REST.fullmatch(lines[-1]).groups()), None
    assert abs(sum(row[0] for row in table.values()) - 100) <= 0.05 * len(table)
    assert abs(sum(row[1] for row in table.values()) - float(ms)) <= 0.05 + 5e-4 * len(table)
    return table, int(steps)


def expect_whole(line, steps):
    """The shares make a step, and the ops did all the work that the run tells of."""
    found = line["profile"]
    assert set(found) == {"steps", "step_s", "outside_s", "ops", "products"}
    assert found["steps"] == steps
    assert all(set(op) == {"op", "part", "share", "calls", "seconds", "flops", "bytes"}
               for op in found["ops"])
    assert abs(sum(op["share"] for op in found["ops"]) + found["outside_s"] / found["step_s"] - 1
               ) < 1e-4
    assert 0 <= found["outside_s"] < found["step_s"]
    assert abs(sum(op["seconds"] for op in found["ops"]) + found["outside_s"] - found["step_s"]
               ) < 1e-6
    if line["steps"] == steps:
        for key in "flops", "bytes":
            work = sum(op[key] for op in found["ops"])
            assert abs(work - line[f"mean_{key}"]) < 1e-6 * work + len(found["ops"]), key
    expect_products(found)
    return {(op["op"], op["part"]): op for op in found["ops"]}


def expect_products(profile):
    """Each shape once, and all of them are all that matmul did."""
    found = profile["products"]
    assert len({row["product"] for row in found}) == len(found) > 0
    for row in found:
        assert set(row) == {"product", "calls", "seconds"} and PRODUCT.fullmatch(row["product"]), row
    times = [row["seconds"] for row in found]
    assert times == sorted(times, reverse=True), "what takes longest is not first"
    ops = [op for op in profile["ops"] if op["op"] == "matmul"]
    for key, tolerance in ("calls", 1e-3 * len(found)), ("seconds", 1e-9):
        assert abs(sum(row[key] for row in found) - sum(op[key] for op in ops)) < tolerance, key
    flops = sum(row["calls"] * 2 * math.prod(map(int, row["product"].split(",")[0].split("x")))
                for row in found)
    assert abs(flops - sum(op["flops"] for op in ops)) <= 1e-4 * flops


def check_table(tools):
    run = begin(tools)
    out, _ = tools.tune(*run, "--profile")
    table, steps = read_table(out, "step")
    assert steps == STEPS and OPS < set(table)
    assert len({op for op, part in set(table) - {None}}) >= len({op for op, _ in OPS})


def check_parts(tools):
    """A product forward has one for its input and one for its weight, where that trains."""
    run = begin(tools)
    products = LAYERS * LINEAR + HEAD
    for method, weights in ("full", products), ("bitfit", HEAD):
        out, err = tools.tune(*run, "--method", method, "--profile", "--json", "--quiet")
        assert not err
        ops = expect_whole(json.loads(out), STEPS)
        assert [ops["matmul", part]["calls"] for part in (
            "forward", "gradient of input", "gradient of weight")] == [products, products, weights]


def check_flip(tools):
    """Steps before and after a flip, and none of the dev set's evaluations."""
    run = begin(tools)
    out, err = tools.tune(*run, "--learner", "4", "--prime", "1", "--profile", "--json")
    ops = expect_whole(json.loads(out), STEPS)
    low_rank = 2 * LAYERS * LINEAR
    primed = low_rank + 4 * LAYERS + HEAD
    assert ops["matmul", "gradient of weight"]["calls"] == (primed + low_rank + HEAD) / 2
    table, _ = read_table(err, "step")
    assert set(table) - {None} == set(ops)


def check_first_steps(tools):
    """They are left out of a run of more than twice as many."""
    run = begin(tools)
    out, _ = tools.tune(*run, "--epochs", "3", "--profile", "--json", "--quiet")
    line = json.loads(out)
    assert line["steps"] == 9
    expect_whole(line, 6)


def check_nothing_changes(tools):
    """Without --profile nothing is told of it, and with it the model is the same."""
    run = begin(tools)
    tools.tune(*run, "--profile", "--quiet", "--json", "--out", "watched.gguf")
    out, err = tools.tune(*run, "--json", "--out", "plain.gguf")
    assert "profile" not in json.loads(out) and "takes" not in err and "GFLOP/s" not in err
    assert tools.read("watched.gguf") == tools.read("plain.gguf")
    out, _ = tools.run("evaluate", "plain.gguf", "--dev-file", "dev.tsv", "--text", "sentence",
                       "--label", "label")
    assert out.count("\n") == 1


def check_evaluate(tools):
    run = begin(tools)
    tools.tune(*run, "--quiet")
    scored = ["evaluate", "model-tuned.gguf", "--dev-file", "dev.tsv", "--text", "sentence",
              "--label", "label", "--batch-size", "4", "--profile"]
    table, steps = read_table(tools.run(*scored)[0], "batch")
    assert steps == 3 and {part for _, part in set(table) - {None}} == {"forward"}
    line = json.loads(tools.run(*scored, "--json")[0])
    ops = expect_whole(line, 3)
    assert set(ops) == set(table) - {None}
    assert ops["matmul", "forward"]["calls"] == LAYERS * LINEAR + HEAD


def check_wrong_use(tools):
    run = begin(tools)
    tools.wrong("finetune", *run, "--profile", "--quiet", says="--profile and --quiet leave")
    tools.wrong("finetune", *run, "--profile", "--dry-run", says="--dry-run makes no step")


run_checks(globals())
