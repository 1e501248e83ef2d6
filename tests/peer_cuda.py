"""The peer on a GPU: its device, batches that wait for their copy, and its time and memory."""
import statistics
import sys
import time

import torch
import torch._dynamo.utils

WARM_STEPS = 20  # compiles, and clocks that rise; left out of runs of more than twice as many


def begin(a):
    """Takes the GPU; ends the process with a line where there is none."""
    if not torch.cuda.is_available():
        sys.exit('peer: --device cuda: PyTorch finds no GPU that it can use')
    if a.gpu >= torch.cuda.device_count():
        sys.exit(f'peer: --gpu {a.gpu}: PyTorch finds {torch.cuda.device_count()}')
    torch.cuda.set_device(a.gpu)
    torch.set_float32_matmul_precision('highest')  # f32 is f32, as Primer's: no TF32


def pinned(batch, labels):
    """Tensors in page-locked memory: their copy to the GPU is waited for by nobody."""
    return ({name: torch.from_numpy(values).pin_memory() for name, values in batch.items()},
            torch.from_numpy(labels).pin_memory())


def compiled_graphs():
    return torch._dynamo.utils.counters['stats']['unique_graphs']


class Times:
    """Of the steps of a process that began at `started`, by the GPU's clock: a mark is put before
    and behind every step, and nothing waits for it. That is fairest to PyTorch: a wait after each
    step would keep it from launching the next while one runs."""

    def __init__(self, started):
        self.started, self.first, self.compiled = started, None, 0
        self.marks, self.masks = [], []

    @staticmethod
    def now():
        mark = torch.cuda.Event(enable_timing=True)
        mark.record()
        return mark

    def step(self, start, batch):
        """A step on a batch has been launched, which began at start."""
        self.marks.append((start, self.now()))
        self.masks.append(batch['attention_mask'])
        if self.first is None:
            torch.cuda.synchronize()
            self.first = time.monotonic() - self.started
        if len(self.marks) == WARM_STEPS:
            self.compiled = compiled_graphs()

    def report(self):
        torch.cuda.synchronize()
        steps = len(self.marks)
        warm = WARM_STEPS if steps > 2 * WARM_STEPS else 0
        seconds = [start.elapsed_time(end) * 1e-3 for start, end in self.marks]
        tokens = [int(mask.sum()) for mask in self.masks]
        return {'steps': steps, 'median_step_s': round(statistics.median(seconds[warm:]), 6),
                'real_tokens_per_s': round(sum(tokens[warm:]) / sum(seconds[warm:]), 1),
                'mean_tokens': round(sum(tokens) / steps, 1),
                'device_peak_bytes': torch.cuda.max_memory_allocated(),
                'device_reserved_bytes': torch.cuda.max_memory_reserved(),
                'compiled_late': compiled_graphs() - self.compiled if warm else 0,
                'first_step_s': round(self.first, 3),
                'wall_s': round(time.monotonic() - self.started, 1)}


def describe():
    """What a run stood on, in words."""
    import transformers
    return {'gpu': torch.cuda.get_device_name(), 'torch': torch.__version__,
            'cuda': torch.version.cuda, 'transformers': transformers.__version__}
