"""--backend cuda, by programs whose GPU is emulated: what they say of the GPU, and what becomes of
one that is missing, too small or broken. Usage: check_cuda.py PROGRAMS, the folder of the emulated
ones."""

import json
import pathlib
import re
import shutil

from glue_harness import STUDY, make_glue, record_of
from tools_harness import ENVIRONMENT, Tools, run_checks

RUN = ["--learner", "4", "--prime", "1", "--epochs", "2", "--lr", "1e-3", "--batch-size", "8"]


def on(machine):
    return dict(ENVIRONMENT, PR_EMULATED_MACHINE=machine)


def check_devices(tools):
    out, _ = tools.run("inspect", "--devices")
    assert out.startswith("GPU 0: ") and "compute capability 8.0" in out, out
    out, _ = tools.run("inspect", "--devices", env=on("no-driver"))
    assert out == "No GPU: no NVIDIA driver is installed\n", out
    out, _ = tools.run("inspect", "--devices", env=on("no-device"))
    assert out == "No GPU: no NVIDIA GPU was found\n", out


def check_machine(tools):
    """A GPU's speeds, and what it is, in words and as JSON; the processor's where that is asked
    for or there is no GPU."""
    small = on("memory=40000000")
    out, _ = tools.run("inspect", "--machine", env=small)
    speed = r"[\d.]+ [MGT]FLOP"
    assert re.fullmatch(
        r"GPU 0: an emulated device, compute capability 8\.0, 8 multiprocessors, 40\.0 MB; a "
        r"driver for CUDA 13\.\d, Primer built with 13\.\d, cuBLASLt 13\.[\d.]+\n"
        rf"Products of matrices {speed} a second, in tf32 {speed}, in bf16 {speed}; memory "
        r"[\d.]+ [MG]B a second, read and written\n", out), out
    out, _ = tools.run("inspect", "--machine", "--backend", "cuda", "--json", env=small)
    found = json.loads(out)
    assert found["capability"] == "8.0" and found["multiprocessors"] == 8 and not found["gpu"]
    assert found["name"] == "an emulated device" and found["memory_bytes"] == 40000000
    assert min(found[f"{kind}flops"] for kind in ("", "tf32_", "bf16_")) > 1e6 < found["bytes"]
    for words, machine in (["--backend", "cpu"], "memory=40000000"), ([], "no-device"):
        out, _ = tools.run("inspect", "--machine", "--threads", 1, *words, env=on(machine))
        assert out.startswith("1 thread: products of matrices "), out
    tools.fails("inspect", "--machine", "--backend", "cuda", env=on("no-device"),
                says="no NVIDIA GPU was found")


def check_products(tools):
    """inspect takes the products that --profile lists, and finds no algorithm slower than the
    best."""
    tools.make_model()
    command = ["model.gguf", *tools.make_data(), *RUN, "--backend", "cuda", "--quiet", "--json",
               "--profile", "--steps", 2]
    for precision, mark in ("f32", ""), ("tf32", ",tf32"), ("bf16", ",bf16"):
        out, _ = tools.tune(*command, "--precision", precision)
        listed = [row["product"] for row in json.loads(out)["profile"]["products"]]
        assert len(listed) > 10 and all(word.endswith(mark) for word in listed), listed
        assert any(",half" in word for word in listed) == (precision == "bf16"), listed
        some = [listed[0], next(word for word in listed if (",half" in word) == (mark == ",bf16"))]
        out, _ = tools.run("inspect", "--products", " ".join(some), "--json")
        found = json.loads(out)["products"]
        assert [row["product"] for row in found] == some
        for row in found:
            assert row["tried"] == 3 and 0 < row["best_s"] <= row["kernel_s"], row
            assert row["seconds"] > 0, row
    out, _ = tools.run("inspect", "--products", "8x4x16,ta,onto  4x8x16,tb,bias")
    head, *rows = out.splitlines()
    assert head.split() == ["product", "us", "kernel", "best", "of", "best", "GFLOP/s"]
    assert [row.split()[0] for row in rows] == ["8x4x16,ta,onto", "4x8x16,tb,bias"]
    tools.fails("inspect", "--products", "8x4x16", env=on("no-driver"), says="no NVIDIA driver is")
    tools.fails("inspect", "--products", "8x4x16", env=on("fail=cublasLtMatmul:3"),
                says="a product of (8, 16) by (16, 4): cuBLASLt: ")


def check_glue(tools):
    """A study's runs are made where it says, and what they were computed on is noted."""
    scripts = pathlib.Path(__file__).resolve().parent.parent / "tools"
    programs = tools / "programs"
    programs.mkdir()
    (programs / "finetune").symlink_to(tools.programs / "finetune")
    (programs / "study").symlink_to(scripts / "study")
    shutil.copy(scripts / "glue", programs)
    make_glue(tools)
    beside = Tools(programs, tools.folder)
    few = [*STUDY, "--tasks", "RTE", "--methods", "bitfit", "--seeds", 1, "--precision", "tf32"]
    beside.run("glue", *few, "--out", "study", "--backend", "cuda")
    record = record_of(tools, "RTE", "bitfit", 0)
    assert record["parts"][0]["processor"] == "an emulated device", record["parts"]
    assert record["configuration"]["precision"] == "tf32"
    beside.wrong("glue", *few, "--out", "other", "--backend", "cpu",
                 says="bitfit: --precision tf32 is for GPUs")
    beside.wrong("glue", *few, "--out", "other", "--backend", "cuda", "--gpu", 5,
                 says="bitfit: there is no GPU number 5")


def check_choice(tools):
    """auto takes a GPU that can be used; without one, or with one that is too old, the processor."""
    tools.make_model()
    command = ["model.gguf", *tools.make_data(), *RUN, "--dry-run"]
    out, _ = tools.run("finetune", *command, "--backend", "auto")
    assert "Computing on GPU 0" in out, out
    out, _ = tools.run("finetune", *command, env=on("no-device"))
    assert "GPU" not in out, out
    out, _ = tools.run("finetune", *command, env=on("old"))
    assert "Computing without a GPU: GPU 0, " in out and "capability 7.0" in out, out


def check_faults(tools):
    tools.make_model()
    command = ["model.gguf", *tools.make_data(), *RUN, "--backend", "cuda", "--quiet"]
    for machine, says in (("no-driver", "no NVIDIA driver is installed"),
                          ("no-device", "no NVIDIA GPU was found"),
                          ("old", "has compute capability 7.0: Primer needs 7.5 or later")):
        tools.fails("finetune", *command, says=says, env=on(machine))
    tools.wrong("finetune", *command, "--gpu", 3, says="there is no GPU number 3")
    tools.wrong("finetune", *command[:-3], "--backend", "cpu", "--precision", "tf32", "--quiet",
                says="--precision tf32 is for GPUs")
    tools.fails("finetune", *command, env=on("memory=9000000"),
                says=["out of memory: the plan's arena needs", "'cuda' has", "need less"])
    tools.fails("finetune", *command, env=on("memory=300000"),
                says=["out of memory: position_embd.weight needs ", " bytes, and 'cuda' has ",
                      "(--dry-run --backend cpu tells what is planned, --memory SIZE stays within "
                      "less)\n"])


def check_broken(tools):
    """A GPU that fails in mid-run: one line, nothing written but the checkpoint from before. With
    PRIMER_SYNC=1 the line names the node."""
    tools.make_model()
    command = ["model.gguf", *tools.make_data(), *RUN, "--backend", "cuda", "--quiet"]
    for fails, says in (("cudaMalloc:60", "out of memory: "),
                        ("launch:100", "CUDA: an illegal memory access was encountered"),
                        ("cudaGraphLaunch:3", "a recorded run could not start: CUDA: "),
                        ("cublasLtMatmul:20", "matmul 'blk.")):
        tools.fails("finetune", *command, says=says, env=on(f"fail={fails}"))
    _, err = tools.run("finetune", *command, "--save-every", 2, "--checkpoint", "at.gguf", code=1,
                       env=on("fail=kernel:600"))
    assert err.splitlines()[-1] == ("finetune: the GPU (PRIMER_SYNC=1 names the node): CUDA: an "
                                    "illegal memory access was encountered"), err
    before = tools.read("at.gguf")
    _, err = tools.run("finetune", *command, "--save-every", 2, "--checkpoint", "at.gguf", code=1,
                       env=dict(on("fail=kernel:100"), PRIMER_SYNC="1"))
    assert tools.read("at.gguf") == before
    assert re.fullmatch(r"finetune: \w+ '[\w./]+': the GPU: CUDA: an illegal memory access was "
                        r"encountered", err.splitlines()[-1]), err


run_checks(globals())
