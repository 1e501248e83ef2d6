"""Curves of training loss: the mean over seeds, smoothed, one seed's own steps, and the steps from
which fewer parameters train."""

import math

RAW_POINTS, SMOOTH_POINTS = 600, 240  # as many as a picture's width shows
WINDOWS = 40  # the smoothing window is that part of all steps


class Curve:
    def __init__(self, key, records, losses):
        """records and losses: of the seeds, in their order."""
        self.key, self.seeds = key, len(losses)
        self.steps = len(losses[0])
        self.per_epoch = self.steps / len(records[0]["epochs"])
        self.window = max(1, self.steps // WINDOWS)
        mean = [nan_mean(values) for values in zip(*losses)]
        smooth = moving_mean(mean, self.window)
        self.raw = thin(losses[0], RAW_POINTS)
        self.smooth = thin(smooth, SMOOTH_POINTS)
        flips = {phase["first_step"] for record in records for phase in record["phases"][1:]}
        self.flips = [(flip, smooth[min(flip, self.steps - 1)]) for flip in sorted(flips)]


def nan_mean(values):
    return math.nan if any(map(math.isnan, values)) else math.fsum(values) / len(values)


def moving_mean(values, window):
    """Of as many values around each as there are, at most half a window to each side; one that is
    not a number is left out."""
    sums, counts = [0.0], [0]
    for value in values:
        good = not math.isnan(value)
        sums.append(sums[-1] + (value if good else 0.0))
        counts.append(counts[-1] + good)
    smooth, half = [], window // 2
    for i in range(len(values)):
        first, last = max(0, i - half), min(len(values), i + half + 1)
        n = counts[last] - counts[first]
        smooth.append((sums[last] - sums[first]) / n if n else math.nan)
    return smooth


def thin(values, most):
    """[(step, value)], steps from 1 on, evenly picked; the last is among them."""
    last = len(values) - 1
    n = min(most, len(values))
    picks = sorted({round(i * last / (n - 1)) for i in range(n)}) if n > 1 else [last]
    return [(i + 1, values[i]) for i in picks]
