#!/usr/bin/env python3
"""Writes golden/model: a BERT and a DistilBERT of two small blocks, as Hugging Face folders, and
cases of each with what PyTorch makes of them (tests/torch_model.py says what stands in a case).

    python3 make_model.py        needs torch, transformers, safetensors and numpy

Everything is computed in f64 and stored in f32: what a test finds is Primer's own error."""
import itertools
import pathlib
import shutil
import sys

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import torch_model  # noqa: E402

FOLDER = HERE / 'model'
PIECES, POSITIONS, LABELS = 53, 24, 3
SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
# Tokens of each sentence of each batch: one alone, a single token, the longest there may be.
LENGTHS = [[7, 3, 12, 5], [24], [2, 17, 1, 9, 4, 6]]
STEPS, FLIP = 10, 5
RATE = 2e-3
METHODS = list(torch_model.TRAINED)
# Of each method (size, scale by kind, retain); what is not here is all 0.
OPTIONS = {'learner': (4, {'bert': 1.75, 'distilbert': 1.0}, 0.0),
           'lora': (3, {'bert': 0.5, 'distilbert': 2.5}, 0.0),
           'adapter': (5, {'bert': 1.0, 'distilbert': 1.0}, 0.0),
           'parallel': (6, {'bert': 4.0, 'distilbert': 4.0}, 0.0),
           'far': (0, {'bert': 0.0, 'distilbert': 0.0}, 18.5)}  # 5.18 of 28 nodes, 6.66 of 36
REGRESSION = 'full', 'learner'  # have a case of it beside that of classes
FINAL = 'full', 'learner', 'far'  # have the last weights beside the losses
MARGIN = 1e-4  # between the distances of FAR's last node that is kept and its first that is not


def make_model(kind):
    size = {'vocab_size': PIECES, 'max_position_embeddings': POSITIONS, 'num_labels': LABELS,
            'attn_implementation': 'eager', 'initializer_range': 0.25}
    if kind == 'bert':
        config = transformers.BertConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                                         intermediate_size=28, **size)
        model = transformers.BertForSequenceClassification(config)
    else:
        config = transformers.DistilBertConfig(dim=16, n_layers=2, n_heads=4, hidden_dim=36, **size)
        model = transformers.DistilBertForSequenceClassification(config)
    with torch.no_grad():  # biases and norms start at 0 and 1, which would hide a good deal
        for p in model.parameters():
            if p.ndim == 1:
                p += 0.2 * torch.randn(p.shape)
    return model


def save_model(kind, model):
    folder = FOLDER / kind
    model.save_pretrained(folder)
    words = [f'w{i}' for i in range(PIECES - len(SPECIAL))]
    (folder / 'vocab.txt').write_text(''.join(piece + '\n' for piece in SPECIAL + words))


def make_batches(generator, kind, regression):
    case = {}
    for k, lengths in enumerate(LENGTHS):
        ids = generator.integers(len(SPECIAL), PIECES, sum(lengths))
        second = [generator.integers(1, n + 1) if n > 3 else n for n in lengths]
        types = [int(kind == 'bert' and i >= s) for n, s in zip(lengths, second) for i in range(n)]
        labels = (generator.standard_normal(len(lengths)).astype(np.float32) if regression
                  else generator.integers(0, LABELS, len(lengths)).astype(np.int32))
        case |= {f'batch.{k}.ids': ids.astype(np.int32),
                 f'batch.{k}.types': np.array(types, dtype=np.int32),
                 f'batch.{k}.offsets': np.cumsum([0, *lengths]).astype(np.int32),
                 f'batch.{k}.labels': labels}
    return case


def make_case(kind, method, head):
    regression = head == 'regression'
    generator = np.random.default_rng([kind == 'bert', METHODS.index(method), regression])
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        FOLDER / kind, attn_implementation='eager')
    if regression:
        model.classifier = torch.nn.Linear(16, 1)
    peer = torch_model.Peer(model.double())
    size, scale, retain = OPTIONS.get(method, (0, {kind: 0.0}, 0.0))
    own = set(peer.parameter)
    peer.add(method, size, scale[kind], generator)
    case = torch_model.settings(size=size, scale=scale[kind], retain=retain, rate=RATE,
                                steps=STEPS, flip=FLIP, labels=1 if regression else LABELS)
    case |= {'method': torch_model.bytes_of(method)} | make_batches(generator, kind, regression)
    case |= {f'start.{name}': torch_model.array(p) for name, p in peer.parameter.items()
             if name not in own or (regression and 'cls.output' in name)}
    out = torch_model.solve(peer, case, MARGIN)
    trained = [n[9:] for n in out if n.startswith('gradient.')]
    if method in FINAL and not regression:
        out |= {f'final.{name}': torch_model.array(peer.parameter[name]) for name in trained}
    return case | out


def main():
    torch.manual_seed(20191106)
    shutil.rmtree(FOLDER, ignore_errors=True)
    for kind in 'bert', 'distilbert':
        save_model(kind, make_model(kind))
    cases = [(method, head) for method in METHODS for head in ('classes', 'regression')
             if head == 'classes' or method in REGRESSION]
    for kind, (method, head) in itertools.product(('bert', 'distilbert'), cases):
        case = make_case(kind, method, head)
        print(f'{kind} {method} {head}:', ' '.join(f'{x:.4f}' for x in case['losses']))
        save_file(case, FOLDER / f'{kind}-{method}-{head}.safetensors')


main()
