#!/usr/bin/env python3
"""Writes adamw.h: ten steps of torch.optim.AdamW on a small parameter, with a rate that changes.

    python3 make_adamw.py > adamw.h        needs torch and numpy

The betas are given as the nearest f32, as Primer keeps them; gradients are halved before the step,
as Primer's factor of 0.5 does."""
import numpy as np
import torch

ROWS, COLUMNS, STEPS = 5, 7, 10
generator = np.random.default_rng(1)


def f32(x):
    return float(np.float32(x))


def array(values):
    return ', '.join(f'{float(x).hex()}f' for x in np.asarray(values, dtype=np.float32).ravel())


start = generator.standard_normal((ROWS, COLUMNS)).astype(np.float32)
scale = 10.0 ** generator.integers(-6, 2, (ROWS, COLUMNS))
gradients = [(generator.standard_normal((ROWS, COLUMNS)) * scale).astype(np.float32)
             for _ in range(STEPS)]
gradients[3][:] = 0
rates = np.array([0.002 * (1 - k / STEPS) for k in range(STEPS)], dtype=np.float32)

p = torch.nn.Parameter(torch.from_numpy(start.copy()))
optimizer = torch.optim.AdamW([p], betas=(f32(0.9), f32(0.999)), eps=f32(1e-8), weight_decay=f32(0.01),
                              foreach=False)
params = []
for rate, gradient in zip(rates, gradients):
    optimizer.param_groups[0]['lr'] = float(rate)
    p.grad = torch.from_numpy(gradient) * 0.5
    optimizer.step()
    params.append(p.detach().numpy().copy())
state = optimizer.state[p]

print(f'/* Written by make_adamw.py with torch {torch.__version__.split("+")[0]}. */')
print(f'enum {{ GOLDEN_ROWS = {ROWS}, GOLDEN_COLUMNS = {COLUMNS}, GOLDEN_STEPS = {STEPS} }};')
size = 'GOLDEN_ROWS * GOLDEN_COLUMNS'
print(f'static const float golden_rates[GOLDEN_STEPS] = {{{array(rates)}}};')
print(f'static const float golden_start[{size}] = {{{array(start)}}};')
for name, values in ('gradient', gradients), ('param', params):
    rows = ',\n'.join('{' + array(v) + '}' for v in values)
    print(f'static const float golden_{name}[GOLDEN_STEPS][{size}] = {{{rows}}};')
print(f'static const float golden_first[{size}] = {{{array(state["exp_avg"].numpy())}}};')
print(f'static const float golden_second[{size}] = {{{array(state["exp_avg_sq"].numpy())}}};')
