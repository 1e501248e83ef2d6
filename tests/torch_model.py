"""Primer's methods in plain PyTorch, on the models of `transformers`: what golden/make_model.py
writes golden files with, and what check_peer.py holds whole models to.

A case is a dict of arrays, which go to and fro as safetensors (tests/model_case.h is its other
side):
    rank, scale          of the learners; rank 0: every parameter trains
    rate, steps, flip    of the run; in its first `flip` steps the attention's weights train too
    labels               of the head; 1: regression. Absent: the head that the model has
    batch.K.ids, .types, .offsets, .labels      packed sentences
    start.NAME           the value that a parameter starts from; the model's own where it is absent
and what comes of it:
    logits.K             of each batch
    gradient.NAME        of each parameter that trains in the first step, on batch 0
    losses               of the steps; step s takes batch s mod (number of batches)
    final.NAME           the parameters that trained, after the last step
"""
import re

import numpy as np
import torch
from torch.nn import functional

BERT = [
    (r'bert\.embeddings\.word_embeddings', 'token_embd'),
    (r'bert\.embeddings\.position_embeddings', 'position_embd'),
    (r'bert\.embeddings\.token_type_embeddings', 'token_types'),
    (r'bert\.embeddings\.LayerNorm', 'token_embd_norm'),
    (r'bert\.encoder\.layer\.(\d+)\.attention\.self\.query', r'blk.\1.attn_q'),
    (r'bert\.encoder\.layer\.(\d+)\.attention\.self\.key', r'blk.\1.attn_k'),
    (r'bert\.encoder\.layer\.(\d+)\.attention\.self\.value', r'blk.\1.attn_v'),
    (r'bert\.encoder\.layer\.(\d+)\.attention\.output\.dense', r'blk.\1.attn_output'),
    (r'bert\.encoder\.layer\.(\d+)\.attention\.output\.LayerNorm', r'blk.\1.attn_output_norm'),
    (r'bert\.encoder\.layer\.(\d+)\.intermediate\.dense', r'blk.\1.ffn_up'),
    (r'bert\.encoder\.layer\.(\d+)\.output\.dense', r'blk.\1.ffn_down'),
    (r'bert\.encoder\.layer\.(\d+)\.output\.LayerNorm', r'blk.\1.layer_output_norm'),
    (r'bert\.pooler\.dense', 'cls'),
    (r'classifier', 'cls.output'),
]
DISTILBERT = [
    (r'distilbert\.embeddings\.word_embeddings', 'token_embd'),
    (r'distilbert\.embeddings\.position_embeddings', 'position_embd'),
    (r'distilbert\.embeddings\.LayerNorm', 'token_embd_norm'),
    (r'distilbert\.transformer\.layer\.(\d+)\.attention\.q_lin', r'blk.\1.attn_q'),
    (r'distilbert\.transformer\.layer\.(\d+)\.attention\.k_lin', r'blk.\1.attn_k'),
    (r'distilbert\.transformer\.layer\.(\d+)\.attention\.v_lin', r'blk.\1.attn_v'),
    (r'distilbert\.transformer\.layer\.(\d+)\.attention\.out_lin', r'blk.\1.attn_output'),
    (r'distilbert\.transformer\.layer\.(\d+)\.sa_layer_norm', r'blk.\1.attn_output_norm'),
    (r'distilbert\.transformer\.layer\.(\d+)\.ffn\.lin1', r'blk.\1.ffn_up'),
    (r'distilbert\.transformer\.layer\.(\d+)\.ffn\.lin2', r'blk.\1.ffn_down'),
    (r'distilbert\.transformer\.layer\.(\d+)\.output_layer_norm', r'blk.\1.layer_output_norm'),
    (r'pre_classifier', 'cls'),
    (r'classifier', 'cls.output'),
]
LINEAR = r'blk\.\d+\.(attn_q|attn_k|attn_v|attn_output|ffn_up|ffn_down)'
TRAINED = re.compile(rf'{LINEAR}\.(bias|weight\.lora_[ab])|'
                     r'blk\.\d+\.\w+_norm\.(weight|bias)|cls\..+')
PRIMED = re.compile(r'blk\.\d+\.attn_(q|k|v|output)\.weight')


def primer_name(name):
    """Primer's name of a module of *ForSequenceClassification."""
    for pattern, to in DISTILBERT if name.startswith('distilbert') else BERT + DISTILBERT[-2:]:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, to, name)
    raise ValueError(f'{name}: a name that Primer does not know')


class Learner(torch.nn.Module):
    """y = W x + b + s P2 P1 x."""

    def __init__(self, linear, down, up, scale):
        super().__init__()
        self.linear, self.scale = linear, scale
        self.down = torch.nn.Parameter(down)
        self.up = torch.nn.Parameter(up)

    def forward(self, x):
        low = functional.linear(functional.linear(x, self.down), self.up)
        return self.linear(x) + self.scale * low


class Peer:
    """A *ForSequenceClassification with its dropout off, its parameters by Primer's names."""

    def __init__(self, model):
        self.model = model.eval()
        self.dtype = model.classifier.weight.dtype
        self.linear = {primer_name(name): module for name, module in model.named_modules()
                       if isinstance(module, torch.nn.Linear)}
        self.parameter = {}
        for name, value in model.named_parameters():
            module, last = name.rsplit('.', 1)
            self.parameter[f'{primer_name(module)}.{last}'] = value

    def add_learners(self, rank, scale, generator):
        """Both factors are drawn: a P2 of zeros would hide whether P1's gradient is right."""
        for path, module in list(self.model.named_modules()):
            name = primer_name(path) if isinstance(module, torch.nn.Linear) else ''
            if not re.fullmatch(LINEAR, name):
                continue
            draw = [generator.standard_normal(shape) * 0.5 / np.sqrt(shape[1])
                    for shape in ((rank, module.in_features), (module.out_features, rank))]
            factors = [torch.tensor(d.astype(np.float32), dtype=self.dtype) for d in draw]
            learner = Learner(module, *factors, scale)
            parent, last = path.rsplit('.', 1)
            setattr(self.model.get_submodule(parent), last, learner)
            self.parameter[f'{name}.weight.lora_a'] = learner.down
            self.parameter[f'{name}.weight.lora_b'] = learner.up

    def require_grad(self, full, primed):
        for name, p in self.parameter.items():
            trains = full or TRAINED.fullmatch(name) or (primed and PRIMED.fullmatch(name))
            p.requires_grad_(bool(trains))
            p.grad = None

    def trained(self):
        return {name: p for name, p in self.parameter.items() if p.requires_grad}

    def logits(self, batch):
        ids, types, offsets = (batch[k].astype(np.int64) for k in ('ids', 'types', 'offsets'))
        lengths = np.diff(offsets)
        padded = {k: torch.zeros(len(lengths), int(lengths.max()), dtype=torch.long)
                  for k in ('input_ids', 'attention_mask', 'token_type_ids')}
        for row, (start, end) in enumerate(zip(offsets, offsets[1:])):
            padded['input_ids'][row, :end - start] = torch.from_numpy(ids[start:end])
            padded['token_type_ids'][row, :end - start] = torch.from_numpy(types[start:end])
            padded['attention_mask'][row, :end - start] = 1
        if self.model.config.model_type == 'distilbert':
            del padded['token_type_ids']
        return self.model(**padded).logits

    def loss(self, batch):
        logits, labels = self.logits(batch), torch.from_numpy(batch['labels'])
        if logits.shape[1] == 1:
            return functional.mse_loss(logits[:, 0], labels.to(logits.dtype))
        return functional.cross_entropy(logits, labels.long())


def settings(**values):
    """The numbers of a case, as arrays of one."""
    return {name: np.array([value], np.float32 if isinstance(value, float) else np.int32)
            for name, value in values.items()}


def batches_of(case):
    """[{ids, types, offsets, labels}, ...]"""
    n = sum(re.fullmatch(r'batch\.\d+\.ids', key) is not None for key in case)
    return [{part: case[f'batch.{k}.{part}'] for part in ('ids', 'types', 'offsets', 'labels')}
            for k in range(n)]


def array(tensor):
    return tensor.detach().to(torch.float32).numpy().copy()


def train(peer, case):
    """The losses of the run: AdamW, linear decay, clipping, and the flip."""
    full, steps, batches = not int(case['rank'][0]), int(case['steps'][0]), batches_of(case)
    rate, flip = float(case['rate'][0]), int(case['flip'][0])
    peer.require_grad(full, primed=flip > 0)
    trained = peer.trained().values()
    optimizer = torch.optim.AdamW([
        {'params': [p for p in trained if p.ndim > 1], 'weight_decay': 0.01},
        {'params': [p for p in trained if p.ndim == 1], 'weight_decay': 0.0}])
    losses = []
    for step in range(steps):
        if step == flip:
            peer.require_grad(full, primed=False)
        for group in optimizer.param_groups:
            group['lr'] = rate * (steps - step) / steps
        optimizer.zero_grad()
        loss = peer.loss(batches[step % len(batches)])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(peer.trained().values(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses, dtype=np.float32)


def solve(peer, case):
    """What comes of a case, without the last weights: the model has them afterwards."""
    out = {}
    batches = batches_of(case)
    with torch.no_grad():
        for k, batch in enumerate(batches):
            out[f'logits.{k}'] = array(peer.logits(batch))
    peer.require_grad(not int(case['rank'][0]), primed=int(case['flip'][0]) > 0)
    peer.loss(batches[0]).backward()
    for name, p in peer.trained().items():
        out[f'gradient.{name}'] = array(p.grad)
    out['losses'] = train(peer, case)
    return out
