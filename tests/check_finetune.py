"""finetune's options, and what it tells. Usage: check_finetune.py PROGRAMS, the folder of finetune
and its sisters."""

import json
import math
import re
import struct

from tools_harness import (ARRAY, F32, TEXT, TIMING, U32, on_terminal, read_keys, read_tensors,
                           run_checks, same_tensors, screen, text_bytes, texts_bytes)

RUN = ["--learner", "4", "--prime", "1", "--epochs", "2", "--lr", "1e-3"]
STEPS = 6  # 40 texts in batches of 16, twice


def begin(tools):
    return [tools.make_model(), *tools.make_data(), *RUN]


def tuned(tools, *arguments):
    tools.tune(*arguments, "--quiet", "--out", "out.gguf")
    return read_tensors(tools / "out.gguf")


def check_defaults(tools):
    """The tuned model lies beside the model, which is left as it was, GGUF file or folder."""
    data = begin(tools)
    before = tools.read("model.gguf")
    out, err = tools.tune(*data)
    assert not err and "Saved model-tuned.gguf after 6 steps; " in out, out + err
    assert tools.read("model.gguf") == before
    first = tools.read("model-tuned.gguf")
    tools.tune(*data)
    assert tools.read("model-tuned.gguf") == first, "a second run ends elsewhere"

    tools.run("convert", "model.gguf", "folder")
    files = tools.snapshot()
    tools.tune("folder/", *data[1:])
    assert same_tensors(read_tensors(tools / "folder-tuned.gguf"),
                        read_tensors(tools / "model-tuned.gguf"))
    assert {**tools.snapshot(), **files} == tools.snapshot(), "the folder was changed"
    keys = read_keys(tools / "model-tuned.gguf")
    assert (keys["primer.method"], keys["primer.size"], keys["primer.prime"],
            keys["primer.scale"]) == ("learner", 4, 1, 1.0)

    tools.tune("model.gguf", *data[1:9], "--learner", "64", "--quiet", "--out", "a.gguf")
    tools.tune("model.gguf", *data[1:9], "--method", "learner", "--prime", "2", "--quiet", "--out",
               "b.gguf")
    assert tools.read("a.gguf") == tools.read("b.gguf"), "--learner 64 implies learner and prime 2"


def check_effects(tools):
    """Each option that should change the weights does."""
    data = begin(tools)
    plain = tuned(tools, *data)
    changes = [["--epochs", 3], ["--batch-size", 8], ["--micro-batch", 5], ["--lr", "2e-3"],
               ["--weight-decay", 0.5], ["--warmup", 3], ["--clip", 0.01], ["--dropout", 0], ["--head-dropout", 0],
               ["--max-length", 8], ["--seed", 1], ["--steps", 3], ["--scale", 2], ["--prime", 0],
               ["--prime", 2], ["--learner", 5]]
    for change in changes:
        assert not same_tensors(tuned(tools, *data, *change), plain), change
    assert same_tensors(tuned(tools, *data, "--warmup", "0.5"), tuned(tools, *data, "--warmup", 3))
    assert "blk.0.attn_q.weight.lora_a" in plain and len(plain) == 41 + 2 * 12
    full = tuned(tools, "model.gguf", *data[1:9], "--epochs", 1)
    assert full.keys() == read_tensors(tools / "model.gguf").keys()


def check_no_effects(tools):
    """Threads, and all that only tells, leave the file as it is, to the bit."""
    data = begin(tools)
    tuned(tools, *data)
    plain = tools.read("out.gguf")
    for threads in 1, 2, 3, 4:
        tools.run("finetune", *data, "--threads", threads, "--out", "b.gguf")
        assert tools.read("b.gguf") == plain, threads
    for more in (["--json"], ["--log", "l.jsonl"], ["--checkpoint", "c", "--save-every", "2"],
                 ["--steps", "100"], ["--recompute"], ["--memory", "10GB"]):
        tools.tune(*data, *more, "--out", "b.gguf")
        assert tools.read("b.gguf") == plain, more


def check_memory(tools):
    """What --memory chose is told; what is too little is refused before the first step."""
    data = begin(tools)
    out, _ = tools.tune(*data, "--memory", "10 GB")
    assert re.search(r"^Within 10.0 GB: whole batches; [\d.]+ MB needed$", out, re.M), out
    needed = float(re.search(r"([\d.]+) MB needed", out)[1])
    out, _ = tools.tune(*data, "--memory", f"{needed - 0.1}MB", "--dry-run")
    assert re.search(r"^Within [\d.]+ MB: \d+ texts? at a time.*; [\d.]+ MB needed$", out, re.M), out
    tools.fails("finetune", *data, "--quiet", "--memory", "10MB", "--out", "o.gguf",
                says=["10 MB of memory are too little: at least ", " MB are needed, with 1 text"])


def check_collapse(tools):
    """--collapse writes what collapse would."""
    data = begin(tools)
    tools.tune(*data, "--out", "a.gguf")
    tools.run("collapse", "a.gguf", "plain.gguf")
    tools.tune(*data, "--collapse", "--out", "b.gguf")
    assert tools.read("b.gguf") == tools.read("plain.gguf") != tools.read("a.gguf")


def check_lines(tools):
    """What is told of each epoch and of the flip, and that it agrees with --dry-run."""
    data = begin(tools)
    number, size = r"[\d,]+", r"[\d.]+ k?M?B"
    plan = (rf"planned {size}: weights {size}, gradients {size}, moments {size}, "
            rf"activations {size}")
    epoch = (rf"Epoch %d/2: loss \d\.\d{{4}}, dev matthews -?\d\.\d{{4}}, accuracy \d\.\d{{4}}, "
             rf"[\d.]+ s\n  ({number}) of {number} parameters trained; {plan}\n")
    out, err = tools.tune(*data)
    found = re.fullmatch(
        r"Training on train\.tsv: 40 texts, 12 more to score on\n"
        r"Method learner, rank 4, scale 1, primed for 1 of 2 epochs; batches of 16, learning rate "
        r"0\.001, seed 0\n" + epoch % 1 +
        rf"Priming ends after epoch 1: ({number}) -> ({number}) parameters train, (\d+) -> (\d+) "
        rf"nodes\n  given back {size}: moments {size} -> {size}, gradients and activations {size} "
        rf"-> {size}\n" + epoch % 2 +
        rf"Saved model-tuned\.gguf after 6 steps; [\d.]+ s in all, at most {size} planned\n", out)
    assert found and not err, out + err
    assert found[1] == found[2] and found[3] == found[6] and int(found[5]) < int(found[4])

    before = tools.snapshot()
    dry, _ = tools.tune(*data, "--dry-run")
    assert tools.snapshot() == before
    phases = re.findall(rf"Epoch (\d): ({number}) parameters train, ([\d.]+) MFLOP a step\n"
                        rf"  {plan}\n", dry)
    assert [p[:2] for p in phases] == [("1", found[1]), ("2", found[6])], dry
    assert float(phases[0][2]) > float(phases[1][2]) > 0
    plans = re.findall(plan, out)
    assert re.findall(plan, dry) == plans and len(plans) == 2

    out, err = tools.tune(*data, "--quiet")
    assert not out and not err, out + err


def check_json(tools):
    """One line under the names, and in the units, of the PyTorch script that runs are compared
    with; the rest goes to stderr."""
    data = begin(tools)
    out, err = tools.tune(*data, "--json")
    assert out.count("\n") == 1 and "Epoch 2/2: " in err and "Saved " in err
    line = json.loads(out)
    assert list(line) == ["method", "rank", "prime", "seed", "total", "trained", *TIMING, "epochs"]
    assert [set(e) for e in line["epochs"]] == [{"epoch", "seconds", "loss", "accuracy", "mcc"}] * 2
    assert [e["epoch"] for e in line["epochs"]] == [0, 1]
    assert (line["method"], line["rank"], line["prime"], line["seed"], line["steps"]) == (
        "learner", 4, 1, 0, STEPS)
    model = read_tensors(tools / "model-tuned.gguf")
    assert line["total"] == sum(t.size for t in model.values())
    assert line["trained"] < line["total"] and 0.001 < line["peak_rss_gb"] < 10
    assert 4 < line["mean_tokens"] / 40 * 3 < 11 and line["real_tokens_per_s"] > 10

    out, err = tools.tune(*data, "--json", "--quiet", "--dry-run")
    dry = json.loads(out)
    assert not err and dry["total"] == line["total"]
    assert [p["trained"] for p in dry["phases"]] == [line["trained"], dry["phases"][1]["trained"]]
    assert [(p["first_step"], p["end_step"]) for p in dry["phases"]] == [(0, 3), (3, 6)]
    assert max(p["planned_bytes"] for p in dry["phases"]) == line["planned_bytes"]
    for phase in dry["phases"]:
        assert phase["moments_bytes"] == 8 * phase["trained"]
        padded = phase["gradients_bytes"] - 4 * phase["trained"]
        assert 0 <= padded < 64 * 100, padded


def check_log(tools):
    """A line of JSON for each phase, step and epoch, its numbers finite, its rates the schedule's."""
    data = begin(tools)
    tools.tune(*data, "--warmup", "2", "--log", "l.jsonl")

    def refuse(word):
        raise AssertionError(f"{word} in the log")
    lines = [json.loads(line, parse_constant=refuse)
             for line in tools.read("l.jsonl").decode().splitlines()]
    steps = [line for line in lines if "step" in line]
    phases = [line for line in lines if "phase" in line]
    epochs = [line for line in lines if "step" not in line and "phase" not in line]
    assert [lines.index(line) for line in phases] == [0, 5]
    dry = json.loads(tools.tune(*data, "--json", "--quiet", "--dry-run")[0])
    assert phases == dry["phases"] and [line["phase"] for line in phases] == [0, 1]
    assert [line["step"] for line in steps] == list(range(1, STEPS + 1))
    assert [line["epoch"] for line in lines if "phase" not in line] == [0, 0, 0, 0, 1, 1, 1, 1]
    for line in lines:
        assert all(isinstance(v, (int, float)) and math.isfinite(v) for v in line.values()), line
    for i, line in enumerate(steps):
        rate = 1e-3 * (i / 2 if i < 2 else (STEPS - i) / (STEPS - 2))
        assert math.isclose(line["lr"], rate, rel_tol=1e-6, abs_tol=1e-12), (i, line)
    for epoch, line in enumerate(epochs):
        mean = sum(s["loss"] for s in steps[3 * epoch:3 * epoch + 3]) / 3
        assert abs(line["loss"] - mean) < 1e-4, line
        assert {"mcc", "accuracy", "trained", "moments_bytes"} < set(line)
    tools.tune(*data, "--log", "l.jsonl")
    assert tools.read("l.jsonl").count(b"\n") == 10, "an old log is not replaced"


def check_choice(tools):
    """--train and --freeze, whatever the method says: what they match moves, or stays as it was.
    --freeze has the last word. Names are the file's, FAR's too, which trains some in two parts."""
    model, *data = begin(tools)[:9]
    before = read_tensors(tools / model)
    run = [model, *data, "--lr", "1e-3", "--epochs", 1, "--batch-size", 8]
    up = "blk.0.ffn_up.weight"
    for method, more, moves, stays in (
            ("bitfit", [], ["blk.0.ffn_up.bias"], [up, "blk.1.ffn_up.weight"]),
            ("bitfit", ["--train", "blk.0.*"], [up, "blk.0.ffn_up.bias", "blk.1.ffn_up.bias"],
             ["blk.1.ffn_up.weight"]),
            ("bitfit", ["--train", "blk.0.*", "--freeze", up],
             ["blk.0.ffn_up.bias", "blk.0.ffn_down.weight"], [up, "blk.1.ffn_up.weight"]),
            ("full", ["--freeze", "*.bias", "--freeze", "token*"], [up, "position_embd.weight"],
             ["blk.1.ffn_up.bias", "cls.bias", "token_embd.weight", "token_embd_norm.weight"]),
            ("far", ["--prime-steps", 2], [up, "blk.1.ffn_down.weight"], []),
            ("far", ["--prime-steps", 2, "--freeze", up],
             ["blk.0.ffn_up.bias", "blk.0.ffn_down.weight", "blk.1.ffn_up.weight"], [up]),
            ("far", ["--prime-steps", 2, "--freeze", "blk.*.ffn_*.weight"],
             ["blk.0.ffn_up.bias", "blk.1.attn_q.weight"], [up, "blk.1.ffn_down.weight"])):
        tools.tune(*run, "--method", method, *more, "--quiet", "--out", "out.gguf")
        after = read_tensors(tools / "out.gguf")
        for name in moves + stays:
            same = (before[name] == after[name]).all() if name in before else False
            assert same == (name in stays), (method, more, name)

    # All that is refused is so before anything is written, an older log not touched.
    for log in "new.jsonl", "old.jsonl":
        tools.write("old.jsonl", "older\n")
        ends = ["--log", log, "--out", "out.gguf", "--checkpoint", "c"]
        for method, option, glob in (("full", "--freeze", "blk.9.*"), ("full", "--train", "attn_q"),
                                     ("learner", "--freeze", "*.lora_c"),
                                     ("far", "--freeze", "*.kept")):
            says = f"{option} '{glob}' matches no parameter: see 'inspect'"
            tools.wrong("finetune", *run, "--method", method, option, glob, *ends, says=says)
            tools.wrong("finetune", *run, "--method", method, option, glob, "--dry-run", says=says)
        tools.fails("finetune", *run, "--freeze", "*", *ends, says="nothing trains")
    tools.tune(*run, "--log", "old.jsonl")
    assert tools.read("old.jsonl").startswith(b"{")


def check_terminal(tools):
    """A bar with loss, tokens a second and the time left on a terminal, gone at the end; plain
    lines elsewhere."""
    data = begin(tools)
    out, _ = tools.tune(*data)
    text = r"epoch 1/2, step 1/6, loss \d\.\d{4}, [\d,]+ tokens/s, \d+:\d\d left"
    for columns in 120, 90, 40:
        shown = on_terminal(tools, columns, "finetune", *data, "--threads", 1)
        drawn = [bar for bar in re.findall(r"\r([^\r\n]*?)\033\[K", shown) if bar]
        assert drawn and all(len(bar) < columns for bar in drawn), shown
        if columns == 120:
            assert re.fullmatch(r"\[[=> ]{10,40}\] " + text, drawn[0]), drawn
        elif columns == 40:
            assert drawn[0].startswith("epoch 1/2, step 1/6, loss "), drawn
        numbers = re.compile(r"[\d.]+ s\b")
        assert numbers.sub("", "\n".join(screen(shown))) == numbers.sub("", out), shown
    for out, err in tools.tune(*data), tools.tune(*data, "--json"):
        assert "\r" not in out + err and "\033" not in out + err
    assert on_terminal(tools, 80, "finetune", *data, "--threads", 1, "--quiet") == ""


# ---- the counts of a whole DistilBERT, in a file of zeros ----

def write_distilbert(path):
    width, ffn, pieces = 768, 3072, 30522
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [
        f"\u2581word{i}" for i in range(pieces - 5)]
    keys = [("general.architecture", TEXT, text_bytes("bert")),
            ("bert.attention.layer_norm_epsilon", F32, struct.pack("<f", 1e-12)),
            ("tokenizer.ggml.tokens", ARRAY, texts_bytes(words))]
    for name, value in (("block_count", 6), ("embedding_length", width),
                        ("feed_forward_length", ffn), ("attention.head_count", 12)):
        keys.append((f"bert.{name}", U32, struct.pack("<I", value)))
    tensors = [("token_embd.weight", (pieces, width)), ("position_embd.weight", (512, width))]

    def add(name, *shape):
        tensors.extend([(name + ".weight", shape), (name + ".bias", shape[:1])])
    add("token_embd_norm", width)
    for i in range(6):
        for part in "attn_q", "attn_k", "attn_v", "attn_output":
            add(f"blk.{i}.{part}", width, width)
        add(f"blk.{i}.attn_output_norm", width)
        add(f"blk.{i}.ffn_up", ffn, width)
        add(f"blk.{i}.ffn_down", width, ffn)
        add(f"blk.{i}.layer_output_norm", width)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    head += b"".join(text_bytes(name) + struct.pack("<I", kind) + payload
                     for name, kind, payload in keys)
    end = 0
    for name, shape in tensors:
        head += text_bytes(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape[::-1], 0, end)
        end += math.prod(shape) * 4
    with open(path, "wb") as file:
        file.write(head)
        file.truncate((len(head) + 31) // 32 * 32 + end)


def check_counts(tools):
    """The parameters that METHODS counts on a DistilBERT with two labels."""
    write_distilbert(tools / "zeros.gguf")
    data = ["zeros.gguf", *tools.make_data(), "--dry-run", "--json", "--quiet"]

    def counts(*method):
        dry = json.loads(tools.tune(*data, *method)[0])
        return dry["total"], [phase["trained"] for phase in dry["phases"]]
    assert counts() == (66955010, [66955010])
    assert counts("--learner", 64) == (72263426, [20116226, 5960450])
    assert counts("--learner", 8, "--prime", 0)[1] == [1315586]
    assert counts("--learner", 256, "--prime", 0)[1] == [21885698]
    for method, total, *trained in (
            ("lora", 72263426, 5960450), ("bitfit", 66955010, 643586),
            ("adapter", 71685890, 5341442), ("parallel", 71681282, 5336834),
            ("freeze-ffn", 66955010, 14807810), ("far", 66955010, 66955010, 41456180)):
        assert counts("--method", method) == (total, trained), method


run_checks(globals())
