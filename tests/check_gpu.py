"""--backend cuda beside --backend cpu: what programs compute on a GPU, real or emulated. Usage:
check_gpu.py PROGRAMS."""

import json

import numpy as np

from tools_harness import Parts, run_checks, show_gpus

RUN = ["--learner", "4", "--prime", "1", "--epochs", "2", "--lr", "1e-3", "--batch-size", "8"]
STEPS = 10  # of 5 an epoch: the flip lies between


def losses(tools, backend, *more):
    out, _ = tools.tune("model.gguf", *tools.make_data(), *RUN, "--backend", backend, "--steps",
                        STEPS, "--out", f"{backend}.gguf", "--log", f"{backend}.jsonl", *more)
    lines = [json.loads(line) for line in tools.read(f"{backend}.jsonl").splitlines()]
    return [line["loss"] for line in lines if "lr" in line], out  # a step's, not an epoch's


def close(a, b, tolerance):
    return all(abs(x - y) <= tolerance * max(1.0, abs(y)) for x, y in zip(a, b, strict=True))


def floats(data):
    """A model file's tensors, all of them f32."""
    return {name: np.frombuffer(values, np.float32) for name, _, _, values in Parts(data).tensors}


def check_ten_steps(tools):
    """The same masks, the same flip: losses and weights as the processor's, to rounding."""
    tools.make_model()
    cpu, _ = losses(tools, "cpu")
    cuda, out = losses(tools, "cuda")
    assert len(cpu) == STEPS and close(cuda, cpu, 1e-4), (cpu, cuda)
    assert "Computing on GPU 0" in out and "GPU memory" in out, out
    a, b = floats(tools.read("cpu.gguf")), floats(tools.read("cuda.gguf"))
    assert a.keys() == b.keys()
    for name, values in a.items():
        if "attn_k.bias" not in name:  # its gradient is zero in truth
            assert abs(values - b[name]).max() <= 2e-3, name


def check_twice(tools):
    """A run repeats bit for bit."""
    tools.make_model()
    losses(tools, "cuda")
    first = tools.read("cuda.gguf")
    losses(tools, "cuda")
    assert tools.read("cuda.gguf") == first


def check_precisions(tools):
    tools.make_model()
    cpu, _ = losses(tools, "cpu")
    for precision in "tf32", "bf16":
        found, _ = losses(tools, "cuda", "--precision", precision)
        assert close(found, cpu, 5e-2), (precision, cpu, found)


def check_resume(tools):
    """A run that is cut off and goes on ends where an uncut one does."""
    tools.make_model()
    whole, _ = losses(tools, "cuda")
    expected = tools.read("cuda.gguf")
    data = tools.make_data()
    tools.tune("model.gguf", *data, *RUN, "--backend", "cuda", "--steps", 4, "--checkpoint",
               "at.gguf", "--out", "part.gguf", "--quiet")
    tools.tune("model.gguf", *data, *RUN, "--backend", "cuda", "--steps", STEPS, "--resume",
               "at.gguf", "--out", "cuda.gguf", "--quiet")
    assert tools.read("cuda.gguf") == expected


def check_memory(tools):
    """The JSON line tells of the GPU's memory, whose most holds all that was planned; a line of the
    processor does not."""
    tools.make_model()
    keys = {"device_peak_bytes", "device_beside_bytes"}
    for backend in "cpu", "cuda":
        out, _ = tools.tune("model.gguf", *tools.make_data(), *RUN, "--backend", backend,
                            "--quiet", "--json")
        trained = json.loads(out)
        out, _ = tools.run("evaluate", "model-tuned.gguf", "--dev-file", "dev.tsv", "--text",
                           "sentence", "--label", "label", "--backend", backend, "--json")
        for line in trained, json.loads(out):
            assert keys & line.keys() == (keys if backend == "cuda" else set()), line
            if backend == "cuda":
                assert line["planned_bytes"] <= line["device_peak_bytes"] < 1 << 30, line


def check_answers(tools):
    """The processor's labels and scores, and its probabilities to rounding."""
    tools.make_model()
    losses(tools, "cpu")
    texts = ["the cat is very good", "the dog sat on"]
    answers, scores = {}, {}
    for backend in "cpu", "cuda":
        out, _ = tools.run("predict", "cpu.gguf", *texts, "--json", "--backend", backend)
        answers[backend] = [json.loads(line) for line in out.splitlines()]
        score, _ = tools.run("evaluate", "cpu.gguf", "--dev-file", "dev.tsv", "--text", "sentence",
                             "--label", "label", "--backend", backend)
        scores[backend] = score.split("(")[0]
    assert scores["cpu"] == scores["cuda"], scores
    for cpu, cuda in zip(answers["cpu"], answers["cuda"], strict=True):
        assert cpu["label"] == cuda["label"], (cpu, cuda)
        assert close(cuda["probabilities"].values(), cpu["probabilities"].values(), 1e-4)


def check_compare(tools):
    tools.make_model()
    data = tools.make_data()
    for method in "full", "learner", "adapter", "freeze-ffn":
        out, _ = tools.run("compare", "model.gguf", *data, "--method", method, "--steps", 2)
        assert ", 0 out of tolerance" in out and "cuda beside cpu" in out, out
    for backends in "cpu", "cpu,gpu", "cpu,cuda,cpu", ",":
        tools.wrong("compare", "model.gguf", *data, "--backends", backends,
                    says=f"expected two of cpu and cuda, as in cpu,cuda, found '{backends}'")
    for precision in "f32", "tf32", "bf16":
        out, _ = tools.run("compare", "model.gguf", *data, "--precision", precision)
        assert ", 0 out of tolerance" in out, out
        out, _ = tools.tune("model.gguf", *data, *RUN, "--backend", "cuda", "--check", "--steps", 1,
                            "--precision", precision)
        assert "The first step, beside the processor's:" in out, out
        assert ", 0 out of tolerance" in out, out


show_gpus()
run_checks(globals())
