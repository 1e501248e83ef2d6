"""What is measured, against what, and the goals: one row a case; gpu_cases.py has a GPU's."""

from dataclasses import dataclass

PEERS = {"torch": "PyTorch", "compiled": "torch.compile", "onnx": "ONNX Runtime"}

# Of every case.
MOST_STEP_OF_BOUND = 1.25
MOST_FIRST_STEP_S = 1.0
MOST_BEYOND_PLAN_GB = 0.040  # peak resident memory over planned bytes
MOST_PLANNED_OF_LEAST = 1.05 # planned bytes over what no plan could do without
LEAST_SPEEDUP = 1.85         # of two threads over one

BATCH = 16


@dataclass(frozen=True)
class Case:
    name: str
    title: str       # in the README's table
    predicts: bool   # the dev set, rather than steps of training
    ours: list       # Primer's options
    peers: dict      # {a name of PEERS: its options}
    ratios: dict     # {a name of PEERS: goal, real tokens a second over the peer's}
    memory: float    # goal, GB of peak resident memory; None: there is none
    texts: str       # "cola", or "long": texts of 128 tokens
    batch: int = BATCH
    planned: float = None   # goal, planned bytes over the peer's peak on a GPU; None: there is none
    of_bound: float = None  # goal, a step over its bound on a GPU; likewise


def training(name, title, ours, theirs, ratio=None, memory=None, texts="cola"):
    """Options as they are typed; the peer is PyTorch."""
    return Case(name, title, False, ours.split(), {"torch": theirs.split()},
                {"torch": ratio} if ratio else {}, memory, texts)


def predicting(name, title, ours="", memory=None, **peers):
    """peers: options and the goal's ratio by name."""
    return Case(name, title, True, ours.split(),
                {peer: options.split() for peer, (options, _) in peers.items()},
                {peer: ratio for peer, (_, ratio) in peers.items() if ratio}, memory, "cola")


ALL = {case.name: case for case in (
    training("full", "all weights", "--method full", "--method full", 3.0, 0.95),
    training("learner", "learners of rank 64, primed", "--learner 64 --prime 0",
             "--method learner --rank 64", 2.5, 0.40),
    training("priming", "the same while priming", "--learner 64 --prime 5",
             "--method learner --rank 64 --prime 9", 2.5, 0.56),
    training("bitfit", "BitFit", "--method bitfit", "--method bitfit", 2.5, 0.36),
    training("freeze-ffn", "freeze FFNs", "--method freeze-ffn", "--method freeze-ffn", 2.5, 0.50),
    training("adapter", "sequential adapters", "--method adapter", "--method adapter", 2.5, 0.40),
    training("learner-bf16", "learners in bf16", "--learner 64 --prime 0 --precision bf16",
             "--method learner --rank 64 --bf16", 3.0, 0.30),
    training("lora", "LoRA of rank 64", "--method lora", "--method lora --rank 64"),
    training("full-long", "all weights, 16 x 128 tokens", "--method full", "--method full", 1.5,
             texts="long"),
    training("learner-long", "learners, 16 x 128 tokens", "--learner 64 --prime 0",
             "--method learner --rank 64", 1.5, texts="long"),
    predicting("predict", "prediction", memory=0.35, torch=("", 2.5), onnx=("", 1.5)),
    predicting("predict-bf16", "prediction in bf16", "--precision bf16", memory=0.35,
               torch=("--bf16", 2.5)),
    predicting("predict-sort", "prediction, the peer's texts sorted by length",
               torch=("--sort", None), onnx=("--sort", None)),
)}
