"""What the peer's ways of working share: texts in batches, time and memory. Nothing here needs
PyTorch."""
import resource
import time

import numpy as np

WARM_STEPS = 3  # first steps left out of timing, in runs of more than twice as many


# ---- data ----

def read_rows(path):
    """[(text, label), ...]; labels that are words are numbered in their order."""
    lines = [line.rstrip('\n').split('\t') for line in path.open(encoding='utf-8')]
    if lines[0] == ['sentence', 'label']:
        rows = [(text, label) for text, label in lines[1:]]
    else:
        rows = [(line[3], line[1]) for line in lines]
    number = {label: i for i, label in enumerate(sorted({label for _, label in rows}))}
    return [(text, number[label]) for text, label in rows]


def read_items(path, encode):
    """[(ids, label), ...]; encode makes a text's ids, cut to their most."""
    return [(encode(text), label) for text, label in read_rows(path)]


def padded(items, length=0):
    """A batch, padded to its longest sentence, or to length where that is not 0: int64 arrays."""
    length = length or max(len(ids) for ids, _ in items)
    input_ids = np.zeros((len(items), length), dtype=np.int64)
    mask = np.zeros_like(input_ids)
    for row, (ids, _) in enumerate(items):
        input_ids[row, :len(ids)] = ids
        mask[row, :len(ids)] = 1
    labels = np.array([label for _, label in items])
    return {'input_ids': input_ids, 'attention_mask': mask}, labels


# ---- what a run takes ----

class Times:
    """Of the steps of a process that began at `started`."""

    def __init__(self, started):
        self.started, self.first = started, None
        self.seconds, self.tokens = [], []

    @staticmethod
    def now():
        return time.monotonic()

    def step(self, start, batch):
        """A step on a batch has ended, which began at start."""
        now = time.monotonic()
        self.seconds.append(now - start)
        self.tokens.append(int(batch['attention_mask'].sum()))
        if self.first is None:
            self.first = now - self.started

    def report(self):
        steps = len(self.seconds)
        warm = WARM_STEPS if steps > 2 * WARM_STEPS else 0
        timed = sorted(self.seconds[warm:])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return {'steps': steps, 'median_step_s': round(timed[len(timed) // 2], 6),
                'real_tokens_per_s': round(sum(self.tokens[warm:]) / sum(timed), 1),
                'mean_tokens': round(sum(self.tokens) / steps, 1),
                'peak_rss_gb': round(peak / 1e9, 3), 'first_step_s': round(self.first, 3),
                'wall_s': round(time.monotonic() - self.started, 1)}


def scores(answers, labels):
    """Accuracy and Matthews's correlation."""
    answers, labels = np.asarray(answers), np.asarray(labels)
    (tn, fp), (fn, tp) = ([int(((labels == truth) & (answers == answer)).sum())
                           for answer in (0, 1)] for truth in (0, 1))
    root = ((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)) ** 0.5
    return {'accuracy': round((tp + tn) / len(labels), 4),
            'mcc': round((tp * tn - fp * fn) / root if root else 0.0, 4)}


def predict(a, times, items, logits):
    """Classifies items batch by batch; logits(batch) is (rows, 2). Returns the report."""
    if a.sort:
        items = sorted(items, key=lambda item: len(item[0]))
    answers, truth = [], []
    for k in range(0, len(items), a.batch_size):
        batch, labels = padded(items[k:k + a.batch_size], a.max_length if a.pad_to_max else 0)
        start = times.now()
        answers.extend(logits(batch).argmax(-1))
        times.step(start, batch)
        truth.extend(labels)
        if a.steps and len(times.seconds) >= a.steps:
            break
    return {'engine': a.engine, 'texts': len(truth), **times.report(), **scores(answers, truth)}
