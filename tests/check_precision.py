"""--precision: what bf16 changes and what not, by finetune, evaluate and predict. On a processor
without bf16 instructions it is f32, and a line says so. Usage: check_precision.py PROGRAMS."""

import json

from tools_harness import read_tensors, run_checks, same_tensors

RUN = ["--method", "learner", "--size", "4", "--prime", "1", "--epochs", "2", "--lr", "1e-3"]
LINE = "This processor has no bf16 instructions: computing in f32 instead\n"


def tuned(tools, precision, *more):
    """The tensors of the tuned model, and what was printed."""
    out, _ = tools.tune("model.gguf", *tools.make_data(), *RUN, *more, "--precision", precision,
                        "--out", f"{precision}.gguf")
    return read_tensors(tools / f"{precision}.gguf"), out


def is_fast(tools):
    tools.make_model()
    out, _ = tools.tune("model.gguf", *tools.make_data(), *RUN, "--dry-run", "--precision", "bf16")
    return LINE not in out


def check_runs(tools):
    """The base's weights that never trained are saved as they were; those that were primed changed
    a little by the rounding; plans are smaller."""
    fast = is_fast(tools)
    before = read_tensors(tools / "model.gguf")
    f32, _ = tuned(tools, "f32")
    bf16, out = tuned(tools, "bf16")
    assert (LINE in out) != fast, out
    if not fast:
        assert same_tensors(f32, bf16)
        return
    for name in "blk.0.ffn_up.weight", "token_embd.weight", "blk.1.attn_q.weight":
        trained = "attn" in name
        assert (f32[name] == bf16[name]).all() != trained, name
        assert (bf16[name] == before[name]).all() != trained, name


def check_plans(tools):
    if not is_fast(tools):
        return
    planned = {}
    for precision in "f32", "bf16":
        out, _ = tools.tune("model.gguf", *tools.make_data(), *RUN, "--dry-run", "--json", "--quiet",
                            "--precision", precision)
        planned[precision] = [phase["planned_bytes"] for phase in json.loads(out)["phases"]]
    assert all(b < f for b, f in zip(planned["bf16"], planned["f32"])), planned


def check_answers(tools):
    """evaluate and predict: near f32's, and with its labels."""
    fast = is_fast(tools)
    tuned(tools, "f32")
    found = {}
    for precision in "f32", "bf16":
        out, err = tools.run("predict", "f32.gguf", "the cat is very good", "the dog sat on",
                             "--json", "--precision", precision)
        assert err == ("" if fast or precision == "f32" else LINE), err
        found[precision] = [json.loads(line) for line in out.splitlines()]
        out, _ = tools.run("evaluate", "f32.gguf", *tools.make_data()[2:], "--precision", precision)
        assert "accuracy" in out, out
    assert str(found["f32"]) != str(found["bf16"]) or not fast
    for f32, bf16 in zip(found["f32"], found["bf16"]):
        assert f32["label"] == bf16["label"]
        for label, p in f32["probabilities"].items():
            assert abs(p - bf16["probabilities"][label]) < 0.02, (f32, bf16)


def check_wrong_use(tools):
    for program in "finetune", "evaluate", "predict":
        tools.wrong(program, "m.gguf", "--precision", "fp8",
                    says=["--precision", "f32, bf16", "'fp8'"])


def check_resume(tools):
    """A checkpoint is for the precision that it was made with."""
    if not is_fast(tools):
        return
    data = [*tools.make_data(), *RUN]
    tools.tune("model.gguf", *data, "--precision", "bf16", "--steps", "2", "--checkpoint", "c")
    tools.wrong("finetune", "model.gguf", *data, "--resume", "c", "--out", "o.gguf",
                says="c: made with precision bf16; this run has f32")


run_checks(globals())
