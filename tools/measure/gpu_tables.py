"""What was found on a GPU, as text for people and as the README's table. Goals that are missed are
marked; nothing fails for it."""

from measure import gpu_cases
from measure.cases import PEERS
from measure.runs import PRIMER
from measure.tables import MISSED, Figure, aligned


class Measured:
    """A case's medians and what follows from them."""

    def __init__(self, case, found, machine):
        self.case, self.medians = case, found["medians"]
        self.primer, self.profile = self.medians[PRIMER], found.get("profile")
        self.products = found.get("products", [])
        p = self.primer
        bf16 = "bf16" in case.ours  # all products are then in bf16
        self.bound = (p["mean_flops"] / (machine["bf16_flops"] if bf16 else machine["flops"])
                      + p["mean_bytes"] / machine["bytes"])
        self.of_bound = Figure(p["median_step_s"] / self.bound, 2, most=case.of_bound)
        self.of_best = Figure(self.part_of_best("kernel_s"), 2, least=gpu_cases.LEAST_OF_BEST)

    def peers(self):
        return [who for who in self.medians if who in PEERS]

    def ratio(self, who):
        found = self.primer["real_tokens_per_s"] / self.medians[who]["real_tokens_per_s"]
        return Figure(found, 2, least=self.case.ratios.get(who))

    def of_peak(self, who):
        """Planned bytes over the most that the peer allocated."""
        return Figure(self.primer["planned_bytes"] / self.medians[who]["device_peak_bytes"], 3,
                      most=self.case.planned)

    # ---- products ----

    def seconds(self, key):
        """Of all products of a step."""
        return sum(row["calls"] * row[key] for row in self.products)

    def part_of_best(self, key):
        """The speed of all products over that of cuBLASLt's best; None without any."""
        return self.seconds("best_s") / self.seconds(key) if self.products else None

    def slowest(self):
        """The product that falls furthest behind its best, in a whole step."""
        return max(self.products, key=lambda r: r["calls"] * (r["kernel_s"] - r["best_s"]))


def of_found(found):
    return [Measured(gpu_cases.ALL[name], case, found["machine"])
            for name, case in found["cases"].items()]


# ---- the machine ----

def machine_lines(found):
    m, host, peer = found["machine"], found["host"], found["host"]["peer"]
    lines = [f"GPU: {m['name']}, compute capability {m['capability']}, "
             f"{m['multiprocessors']:.0f} multiprocessors, {m['memory_bytes'] / 1e9:.0f} GB; "
             f"driver {host['driver'] or 'unknown'} for CUDA {m['driver_cuda']}; Primer with CUDA "
             f"{m['cuda']} and cuBLASLt {m['cublaslt']}",
             f"Host: {host['processor']}, {host['cores']} cores"]
    if peer:
        lines.append(f"Peer: PyTorch {peer['torch']} with CUDA {peer['cuda']}, transformers "
                     f"{peer['transformers']}, LoRA layers of {peer['lora']}")
    lines.append(f"Speeds: products of matrices {m['flops'] / 1e12:.1f} TFLOP/s, in tf32 "
                 f"{m['tf32_flops'] / 1e12:.1f}, in bf16 {m['bf16_flops'] / 1e12:.1f}; memory "
                 f"{m['bytes'] / 1e9:.0f} GB/s, read and written")
    return lines


# ---- beside the peers ----

def per_second(runs):
    return runs["real_tokens_per_s"] / runs["mean_tokens"]


def speed_cells(m, who):
    """Beside a peer; who is None: beside nobody."""
    p, q = m.primer, m.medians.get(who)
    ratio = m.ratio(who) if q else Figure(None, 2)

    def theirs(text):
        return text(q) if q else "-"
    return [m.case.name, PEERS.get(who, "-"), f"{per_second(p):.1f}",
            theirs(lambda q: f"{per_second(q):.1f}"), str(ratio), ratio.goal_text(),
            f"{p['real_tokens_per_s']:.0f}", theirs(lambda q: f"{q['real_tokens_per_s']:.0f}"),
            f"{1e3 * p['median_step_s']:.2f}",
            theirs(lambda q: f"{1e3 * q['median_step_s']:.2f}"),
            f"{p['first_step_s']:.1f}", theirs(lambda q: f"{q['first_step_s']:.1f}")]


def speeds(measured):
    head = ["case", "peer", "steps/s", "peer's", "ratio ", "goal", "tokens/s", "peer's", "step ms",
            "peer's", "first s", "peer's"]
    return aligned([head, *(speed_cells(m, who) for m in measured for who in m.peers() or [None])],
                   2)


def memory_cells(m, who):
    p, q = m.primer, m.medians.get(who)
    ratio = m.of_peak(who) if q else Figure(None, 2)
    return [m.case.name, PEERS.get(who, "-"), *(f"{p[key] / 1e6:.0f}" for key in (
                "planned_bytes", "device_peak_bytes", "device_beside_bytes")),
            f"{q['device_peak_bytes'] / 1e6:.0f}" if q else "-", str(ratio), ratio.goal_text()]


def memory(measured):
    head = ["case", "peer", "planned MB", "allocated", "beside", "peer's", "planned/peer's ",
            "goal"]
    return [*aligned([head, *(memory_cells(m, who) for m in measured
                              for who in m.peers() or [None])], 2),
            "peer's: max_memory_allocated; beside: what CUDA and its libraries take, of which "
            "PyTorch's is not counted either"]


# ---- beside what the machine can ----

def bound_cells(m):
    p = m.primer
    return [m.case.name, f"{p['mean_flops'] / 1e9:.1f}", f"{p['mean_bytes'] / 1e9:.2f}",
            f"{1e3 * m.bound:.2f}", f"{1e3 * p['median_step_s']:.2f}", str(m.of_bound),
            m.of_bound.goal_text()]


def bounds(measured):
    head = ["case", "GFLOP", "GB", "bound ms", "step ms", "step/bound ", "goal"]
    return aligned([head, *map(bound_cells, measured)], 1)


def product_cells(m):
    slowest = m.slowest()
    return [m.case.name, f"{sum(row['calls'] for row in m.products):.0f}",
            *(f"{1e3 * m.seconds(key):.2f}" for key in ("seconds", "kernel_s", "best_s")),
            str(m.of_best), m.of_best.goal_text(), str(Figure(m.part_of_best("seconds"), 2)),
            slowest["product"], f"{slowest['best_s'] / slowest['kernel_s']:.2f}"]


def products(measured):
    rows = [product_cells(m) for m in measured if m.products]
    if not rows:
        return []
    head = ["case", "products", "ms", "kernels", "best ms", "best/kernels ", "goal", "best/all ",
            "loses most", "best/kernel"]
    return ["", *aligned([head, *rows], 1),
            "of a step, on the GPU's clock; ms: with the rounding to bf16 before them; best: the "
            "fastest of cuBLASLt's algorithms for each"]


# ---- where the time goes ----

def op_rows(profile):
    rows = [["op", "part", "time", "us", "calls"]]
    rows += [[op["op"], op["part"], f"{100 * op['share']:.1f} %", f"{1e6 * op['seconds']:.1f}",
              f"{op['calls']:.0f}"] for op in profile["ops"]]
    outside = profile["outside_s"]
    return [*rows, ["outside of nodes", "", f"{100 * outside / profile['step_s']:.1f} %",
                    f"{1e6 * outside:.1f}", ""]]


def product_rows(m):
    rows = [["product", "calls", "us", "kernel", "best", "best/kernel"]]
    for row in sorted(m.products, key=lambda row: -row["calls"] * row["seconds"]):
        rows.append([row["product"], f"{row['calls']:.2f}", *(
            f"{1e6 * row[key]:.1f}" for key in ("seconds", "kernel_s", "best_s")),
            f"{row['best_s'] / row['kernel_s']:.2f}"])
    return rows


def profiles(measured):
    lines = []
    for m in measured:
        if m.profile:
            lines += ["", f"{m.case.name}: node by node, each waited for, a step takes "
                      f"{1e3 * m.profile['step_s']:.2f} ms", *aligned(op_rows(m.profile), 2)]
        if m.products:
            lines += ["", *aligned(product_rows(m), 1)]
    return lines


# ---- all ----

def late(measured):
    """What the compiler did while steps were timed, which they should not be judged by."""
    return [f"{m.case.name}: {PEERS[who]} compiled {m.medians[who]['compiled_late']:.0f} graphs "
            "more among the steps that are timed" for m in measured for who in m.peers()
            if m.medians[who].get("compiled_late")]


def text(found, profile):
    measured = of_found(found)
    return "\n".join([
        *machine_lines(found), "",
        f"{found['steps']} steps a run, of long texts a fifth, {found['rounds']} rounds in turn; "
        f"medians. {MISSED}: misses its goal. Tokens are real ones, not padding.",
        *speeds(measured), *late(measured), "", *memory(measured), "", *bounds(measured),
        *products(measured), *(profiles(measured) if profile else [])])


def markdown(found):
    """The README's table: a row for each case."""
    lines = ["| | steps a second | PyTorch | ratio | goal | torch.compile | ratio | goal "
             "| planned, MB | of PyTorch's | of compiled | goal | step / bound "
             "| of cuBLASLt's best |", "|---" * 14 + "|"]

    def beside(m, who):
        if who not in m.medians:
            return ["-", "-", "-"]
        return [f"{per_second(m.medians[who]):.1f}", str(m.ratio(who)), m.ratio(who).goal_text()]

    def of_peak(m, who):
        return str(m.of_peak(who)) if who in m.medians else "-"
    for m in of_found(found):
        goal = "-" if m.case.planned is None else f"{m.case.planned:g}"
        cells = [m.case.title, f"{per_second(m.primer):.1f}", *beside(m, "torch"),
                 *beside(m, "compiled"), f"{m.primer['planned_bytes'] / 1e6:.0f}",
                 of_peak(m, "torch"), of_peak(m, "compiled"), goal, str(m.of_bound),
                 str(m.of_best)]
        lines.append("| " + " | ".join(cell.rstrip(MISSED + " ") for cell in cells) + " |")
    return "\n".join(lines)
