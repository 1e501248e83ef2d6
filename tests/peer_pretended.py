#!/usr/bin/env python3
"""peer.py --device cuda where there is no GPU: the processor answers what the peer asks of one. So
all that it does there is run, though none of its figures means anything."""
import time

import torch


class Event:
    def __init__(self, enable_timing):
        assert enable_timing

    def record(self):
        self.at = time.monotonic()

    def elapsed_time(self, later):
        return 1e3 * (later.at - self.at)


class Cuda:
    """In the place of torch.cuda for peer_cuda.py alone."""
    Event = Event

    def __getattr__(self, name):
        return lambda *_: {'is_available': True, 'device_count': 1, 'max_memory_allocated': 1 << 30,
                           'max_memory_reserved': 1 << 31,
                           'get_device_name': 'a pretended GPU'}.get(name)


class Torch:
    """torch, but for that."""
    cuda = Cuda()

    def __getattr__(self, name):
        return getattr(torch, name)


def stays(move):
    """Tensor.to or Module.to, which finds everything on the GPU already."""
    def to(self, *where, **more):
        return self if where == ('cuda',) else move(self, *where, **more)
    return to


def pretend():
    import peer_cuda
    peer_cuda.torch = Torch()
    torch.Tensor.pin_memory = lambda self: self
    torch.Tensor.to, torch.nn.Module.to = stays(torch.Tensor.to), stays(torch.nn.Module.to)
    autocast = torch.autocast
    torch.autocast = lambda _, dtype: autocast('cpu', dtype)


if __name__ == '__main__':
    pretend()
    from peer import main
    main()
