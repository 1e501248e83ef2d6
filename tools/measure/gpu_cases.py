"""What is measured on a GPU, and the goals there: PyTorch as it is and compiled, at the lengths of
CoLA's sentences, where launching counts, and on large batches of long texts, where arithmetic
does."""

from measure.cases import BATCH, Case

LEAST_OF_BEST = 0.70  # of the speed of the best of cuBLASLt's algorithms, all products together
LARGE_BATCH = 32
MOST_STEP_OF_BOUND = 1.5

SHORT = {"torch": 6.0, "compiled": 2.0}
LONG_BF16 = {"torch": 1.5, "compiled": 1.5}


def training(name, title, ours, theirs, planned, *, ratios=None, texts="cola"):
    long = texts == "long"
    words = theirs.split()
    peers = {"torch": words, "compiled": [*words, "--compile"]}
    return Case(name, title, False, ours.split(), peers,
                ratios or {}, None, texts, LARGE_BATCH if long else BATCH, planned,
                MOST_STEP_OF_BOUND if long else None)


LEARNER, THEIRS = "--learner 64 --prime 0", "--method learner --rank 64"
SIZE = f"{LARGE_BATCH} x 128 tokens"

ALL = {case.name: case for case in (
    training("full", "all weights", "--method full", "--method full", 0.85, ratios=SHORT),
    training("learner", "learners of rank 64, primed", LEARNER, THEIRS, 0.90, ratios=SHORT),
    training("learner-bf16", "learners in bf16", f"{LEARNER} --precision bf16", f"{THEIRS} --bf16",
             0.65, ratios=SHORT),
    training("full-long", f"all weights, {SIZE}", "--method full", "--method full", 0.85,
             texts="long"),
    training("learner-long", f"learners, {SIZE}", LEARNER, THEIRS, 0.90, texts="long"),
    training("learner-bf16-long", f"learners in bf16, {SIZE}", f"{LEARNER} --precision bf16",
             f"{THEIRS} --bf16", 0.65, ratios=LONG_BF16, texts="long"),
    training("full-bf16-long", f"all weights in bf16, {SIZE}", "--method full --precision bf16",
             "--method full --bf16", None, ratios=LONG_BF16, texts="long"),
)}
