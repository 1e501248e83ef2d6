"""What was found, as text for people and as the README's table. Goals that are missed are marked;
nothing fails for it."""

from measure import cases
from measure.cases import PEERS
from measure.runs import ONE_THREAD, PRIMER

MISSED = "!"
LEAST_SHARE = 0.0005  # of a step: ops below are summed up


class Figure:
    """A number with its goal."""

    def __init__(self, value, decimals, most=None, least=None):
        self.value, self.decimals = value, decimals
        self.goal = least if most is None else most
        self.missed = value is not None and self.goal is not None and (
            value > most if most is not None else value < least)

    def __str__(self):
        if self.value is None:
            return "- "
        return f"{self.value:.{self.decimals}f}{MISSED if self.missed else ' '}"

    def goal_text(self):
        return "-" if self.goal is None else f"{self.goal:g}"


class Measured:
    """A case's medians and what follows from them."""

    def __init__(self, case, found, machine):
        self.case, self.medians = case, found["medians"]
        self.primer, self.profile = self.medians[PRIMER], found.get("profile")
        p = self.primer
        # As if all products had a bf16 factor: those with trained weights are f32.
        bf16 = "bf16" in case.ours and machine.get("bf16_flops")
        self.bound = (p["mean_flops"] / (machine["bf16_flops"] if bf16 else machine["flops"])
                      + p["mean_bytes"] / machine["bytes"])
        self.of_bound = Figure(p["median_step_s"] / self.bound, 2, most=cases.MOST_STEP_OF_BOUND)
        self.memory = Figure(p["peak_rss_gb"], 3, most=case.memory)
        self.beyond = Figure(p["peak_rss_gb"] - p["planned_bytes"] / 1e9, 3,
                             most=cases.MOST_BEYOND_PLAN_GB)
        least = p["weights_bytes"] + 8 * p.get("trained", 0) + p["lower_bound_bytes"]
        self.of_least = Figure(p["planned_bytes"] / least, 3, most=cases.MOST_PLANNED_OF_LEAST)
        short = case.texts == "cola"  # a step on long texts alone can take a second
        self.first = Figure(p["first_step_s"], 2, most=cases.MOST_FIRST_STEP_S if short else None)

    def peers(self):
        return [who for who in self.medians if who in PEERS]

    def ratio(self, who):
        found = self.primer["real_tokens_per_s"] / self.medians[who]["real_tokens_per_s"]
        return Figure(found, 2, least=self.case.ratios.get(who))

    def speedup(self):
        if ONE_THREAD not in self.medians:
            return Figure(None, 2)
        alone = self.medians[ONE_THREAD]["median_step_s"]
        return Figure(alone / self.primer["median_step_s"], 2, least=cases.LEAST_SPEEDUP)


def of_found(found):
    return [Measured(cases.ALL[name], case, found["machine"])
            for name, case in found["cases"].items()]


def aligned(rows, left):
    """Columns, the first `left` of them to the left."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return [("  ".join(cell.ljust(w) if k < left else cell.rjust(w)
                       for k, (cell, w) in enumerate(zip(row, widths)))).rstrip() for row in rows]


# ---- beside the peers ----

def peer_cells(m, who):
    """Speed and memory beside a peer's; who is None: beside nobody."""
    p, q = m.primer, m.medians.get(who)
    ratio = m.ratio(who) if q else Figure(None, 2)

    def theirs(key, decimals):
        return f"{q[key]:.{decimals}f}" if q else "-"
    return [m.case.name, PEERS.get(who, "-"),
            f"{p['real_tokens_per_s']:.0f}", theirs("real_tokens_per_s", 0), str(ratio),
            ratio.goal_text(), str(m.memory), theirs("peak_rss_gb", 3), m.memory.goal_text(),
            f"{p['median_step_s']:.3f}", theirs("median_step_s", 3),
            str(m.first), theirs("first_step_s", 2)]


def beside_peers(measured):
    head = ["case", "peer", "tokens/s", "peer's", "ratio ", "goal", "peak GB ", "peer's", "goal",
            "step s", "peer's", "first s ", "peer's"]
    return aligned([head, *(peer_cells(m, who) for m in measured for who in m.peers() or [None])],
                   2)


# ---- beside the bound ----

def bound_cells(m, first):
    p = m.primer
    return [m.case.name, f"{p['mean_flops'] / 1e9:.1f}", f"{p['mean_bytes'] / 1e9:.2f}",
            f"{m.bound:.3f}", f"{p['median_step_s']:.3f}", str(m.of_bound),
            f"{m.bound / first.bound:.2f}",
            f"{p['median_step_s'] / first.primer['median_step_s']:.2f}",
            f"{p['planned_bytes'] / 1e9:.3f}", str(m.of_least), str(m.beyond), str(m.speedup())]


def beside_bound(measured, threads):
    head = ["case", "GFLOP", "GB", "bound s", "step s", "step/bound ", "bounds", "steps",
            "planned GB", "of least ", "beyond GB ", f"{threads} threads/1 "]
    goals = ["goal", "", "", "", "", f"{cases.MOST_STEP_OF_BOUND} ", "", "", "",
             f"{cases.MOST_PLANNED_OF_LEAST} ", f"{cases.MOST_BEYOND_PLAN_GB} ",
             f"{cases.LEAST_SPEEDUP} "]
    rows = [head, goals, *(bound_cells(m, measured[0]) for m in measured)]
    if not any(ONE_THREAD in m.medians for m in measured):
        rows = [row[:-1] for row in rows]
    return [*aligned(rows, 1),
            f"bounds, steps: as a ratio to {measured[0].case.name}; of least: planned bytes over "
            "those of the weights, the optimizer's",
            "state of what trains, and what lives at once; beyond: peak resident memory over what "
            "was planned"]


def speeds(machine):
    bf16 = machine.get("bf16_flops")
    return (f"The machine: products of matrices {machine['flops'] / 1e9:.0f} GFLOP/s (OpenBLAS's "
            f"kernels for {machine['kernels']}), " + (f"in bf16 {bf16 / 1e9:.0f} GFLOP/s, "
                                                      if bf16 else "")
            + f"memory {machine['bytes'] / 1e9:.1f} GB/s")


# ---- where the time goes ----

def part_of_roof(amount, seconds, roof):
    """How much of what the machine can; nothing where there is nothing of it."""
    if not amount or not seconds:
        return ["", ""]
    return [f"{amount / seconds / 1e9:.1f}", f"{100 * amount / seconds / roof:.0f} %"]


def profile_rows(profile, machine):
    rows = [["op", "part", "time", "ms", "GFLOP/s", "of roof", "GB/s", "of roof"]]
    shown = [op for op in profile["ops"] if op["share"] >= LEAST_SHARE]
    for op in shown:
        s = op["seconds"]
        rows.append([op["op"], op["part"], f"{100 * op['share']:.1f} %", f"{1e3 * s:.2f}",
                     *part_of_roof(op["flops"], s, machine["flops"]),
                     *part_of_roof(op["bytes"], s, machine["bytes"])])
    others = sum(op["seconds"] for op in profile["ops"]) - sum(op["seconds"] for op in shown)
    for what, seconds in ((f"{len(profile['ops']) - len(shown)} others", others),
                          ("outside of nodes", profile["outside_s"])):
        rows.append([what, "", f"{100 * seconds / profile['step_s']:.1f} %",
                     f"{1e3 * seconds:.2f}", "", "", "", ""])
    return rows


def profiles(measured, machine):
    lines = []
    for m in measured:
        if m.profile:
            lines += ["", f"{m.case.name}: a step takes {1e3 * m.profile['step_s']:.1f} ms",
                      *aligned(profile_rows(m.profile, machine), 2)]
    return lines


# ---- all ----

def text(found):
    measured, machine = of_found(found), found["machine"]
    return "\n".join([
        f"{found['steps']} steps a run, {found['rounds']} rounds in turn, {found['threads']} "
        f"threads; medians. {MISSED}: misses its goal, of a first step "
        f"{cases.MOST_FIRST_STEP_S:g} s. Tokens are real ones, not padding.",
        *beside_peers(measured), "", speeds(machine), *beside_bound(measured, found["threads"]),
        *profiles(measured, machine)])


def markdown(found):
    """The README's table: a row for each case and peer."""
    lines = ["| | real tokens a second | peer | ratio | goal | peak resident, GB | peer | goal "
             "| step / bound |", "|---" * 9 + "|"]
    for m in of_found(found):
        for who in m.peers() or [None]:
            title = m.case.title + (f", {PEERS[who]}" if who not in ("torch", None) else "")
            cells = [title, *peer_cells(m, who)[2:9], str(m.of_bound)]
            lines.append("| " + " | ".join(cell.rstrip(MISSED + " ") for cell in cells) + " |")
    return "\n".join(lines)
