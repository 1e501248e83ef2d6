"""How a step's time grows with the length of its texts: linear in tokens but for attention, whose
work grows with the square of a text's length."""

from measure import cases, texts
from measure.cases import BATCH
from measure.runs import last_json
from measure.tables import aligned

LENGTHS = (16, 32, 64, 128, 256, 512)
CASE = "learner"
LEAST_STEPS = 4
OFTEN = 128  # the length of which others are told as a ratio


def steps_of(a, length):
    """Fewer of longer texts, so that no length takes much longer than another."""
    return max(LEAST_STEPS, a.steps * LENGTHS[0] // length)


def command(bench, length):
    a = bench.a
    folder, steps = a.scratch / f"length-{length}", steps_of(a, length)
    texts.write_long(a.data, folder, (steps + 1) * BATCH, length)
    return bench.training(cases.ALL[CASE], a.threads, steps, bench.long_data(folder, length),
                          "--profile")


def of_profile(result):
    """Seconds of a step: attention's, forward and back, and all others'."""
    profile = result["profile"]
    attention = sum(op["seconds"] for op in profile["ops"] if op["op"].startswith("attention"))
    return attention, profile["step_s"] - attention


def measure(bench):
    found = []
    for length in LENGTHS:
        bench.tell(f"{length} tokens", CASE, "primer")
        result = last_json(command(bench, length))
        attention, rest = of_profile(result)
        found.append({"length": length, "tokens": result["mean_tokens"], "attention_s": attention,
                      "rest_s": rest, "peak_rss_gb": result["peak_rss_gb"],
                      "planned_bytes": result["planned_bytes"]})
    return found


def text(found):
    often = next(f["rest_s"] / f["tokens"] for f in found if f["length"] == OFTEN)
    rows = [["tokens a text", "tokens a step", "step s", "us a token", "attention", "all else",
             f"as of {OFTEN}", "peak GB"]]
    for f in found:
        attention, rest = f["attention_s"] / f["tokens"], f["rest_s"] / f["tokens"]
        rows.append([str(f["length"]), f"{f['tokens']:.0f}",
                     f"{f['attention_s'] + f['rest_s']:.3f}", f"{1e6 * (attention + rest):.0f}",
                     f"{1e6 * attention:.1f}", f"{1e6 * rest:.0f}", f"{rest / often:.2f}",
                     f"{f['peak_rss_gb']:.3f}"])
    return "\n".join([f"A step of {cases.ALL[CASE].title}, {BATCH} texts of one length:",
                      *aligned(rows, 0)])
