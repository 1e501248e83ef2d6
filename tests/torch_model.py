"""Primer's methods in plain PyTorch, on the models of `transformers`: what golden/make_model.py
writes golden files with, and what check_peer.py holds whole models to.

A case is a dict of arrays, which go to and fro as safetensors (tests/model_case.h is its other
side):
    method               its name, as bytes. Absent: the model's own
    size, scale, retain  its options; what means nothing to a method is 0
    rate, steps, flip    of the run; in its first `flip` steps what is primed trains too
    labels               of the head; 1: regression. Absent: the head that the model has
    batch.K.ids, .types, .offsets, .labels      packed sentences
    start.NAME           the value that a parameter starts from; the model's own where it is absent
and what comes of it:
    logits.K             of each batch
    gradient.NAME        of each parameter that trains in the first step, on batch 0
    losses               of the steps; step s takes batch s mod (number of batches)
    final.NAME           the parameters that trained, after the last step
Names and shapes are those of a model's file, however Primer arranges parameters in a run.
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
NORM = r'blk\.\d+\.(attn_output_norm|layer_output_norm)'
# What trains in all steps, by method; the head always does.
BESIDE_LINEAR = rf'{LINEAR}\.(bias|weight\.lora_[ab])|{NORM}\.(weight|bias)'
ADAPTERS = rf'blk\.\d+\.adapter_.*|{NORM}\.(weight|bias)'
TRAINED = {
    'full': '.*',
    'learner': BESIDE_LINEAR,
    'lora': BESIDE_LINEAR,
    'bitfit': rf'{LINEAR}\.bias|{NORM}\.bias|token_embd_norm\.bias',
    'adapter': ADAPTERS,
    'parallel': ADAPTERS,
    'freeze-ffn': r'blk\.\d+\.(attn_(q|k|v|output)\.weight)|'
                  rf'{LINEAR}\.bias|{NORM}\.(weight|bias)',
    'far': '.*',
}
# What trains before the flip too. FAR's flip is within parameters.
PRIMED = {'learner': r'blk\.\d+\.attn_(q|k|v|output)\.weight'}


def primer_name(name):
    """Primer's name of a module of *ForSequenceClassification."""
    for pattern, to in DISTILBERT if name.startswith('distilbert') else BERT + DISTILBERT[-2:]:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, to, name)
    raise ValueError(f'{name}: a name that Primer does not know')


class Peer:
    """A *ForSequenceClassification with its dropout off, its parameters by Primer's names."""

    def __init__(self, model):
        self.model = model.eval()
        self.dtype = model.classifier.weight.dtype
        self.linear = {primer_name(name): module for name, module in model.named_modules()
                       if isinstance(module, torch.nn.Linear)}
        self.layers = sum(name.endswith('ffn_up') for name in self.linear)
        self.parameter = {}
        for name, value in model.named_parameters():
            module, last = name.rsplit('.', 1)
            self.parameter[f'{primer_name(module)}.{last}'] = value

    def draw(self, name, shape, generator):
        """A new parameter."""
        scale = 0.5 / np.sqrt(shape[1]) if len(shape) > 1 else 0.2
        values = (generator.standard_normal(shape) * scale).astype(np.float32)
        self.parameter[name] = torch.nn.Parameter(torch.tensor(values, dtype=self.dtype))
        return self.parameter[name]

    def add(self, method, size, scale, generator):
        """What a method adds, all of it drawn: where the second of two factors is zero nothing
        shows whether the first one's gradient is right."""
        for name, module in self.linear.items():
            if method in ('learner', 'lora') and re.fullmatch(LINEAR, name):
                self.add_low_rank(name, module, size, scale, generator)
            if method == 'adapter' and re.search(r'attn_output|ffn_down', name):
                adapter = name.replace('attn_output', 'adapter_attn').replace('ffn_down',
                                                                              'adapter_ffn')
                branch = self.draw_bottleneck(adapter, module.out_features, size, functional.gelu,
                                              generator)
                module.register_forward_hook(lambda _, x, y, f=branch: y + f(y))
            if method == 'parallel' and name.endswith('ffn_up'):
                adapter = name.replace('ffn_up', 'adapter')
                branch = self.draw_bottleneck(adapter, module.in_features, size, functional.relu,
                                              generator)
                self.put_beside_ffn(name, branch, scale)

    def add_low_rank(self, name, module, size, scale, generator):
        """W x + b + s P2 P1 x."""
        p1 = self.draw(f'{name}.weight.lora_a', (size, module.in_features), generator)
        p2 = self.draw(f'{name}.weight.lora_b', (module.out_features, size), generator)
        module.register_forward_hook(
            lambda _, x, y: y + scale * functional.linear(functional.linear(x[0], p1), p2))

    def draw_bottleneck(self, name, width, size, between, generator):
        """W2 f(W1 x + b1) + b2."""
        w1, b1, w2, b2 = (self.draw(f'{name}_{part}', shape, generator) for part, shape in (
            ('down.weight', (size, width)), ('down.bias', (size,)),
            ('up.weight', (width, size)), ('up.bias', (width,))))
        return lambda x: functional.linear(between(functional.linear(x, w1, b1)), w2, b2)

    def put_beside_ffn(self, up, branch, scale):
        """FFN(x) + s branch(x): x is what goes into ffn_up, the sum what comes out of ffn_down."""
        kept = {}
        self.linear[up].register_forward_pre_hook(lambda _, x: kept.update(x=x[0]))
        self.linear[up.replace('ffn_up', 'ffn_down')].register_forward_hook(
            lambda _, x, y: y + scale * branch(kept['x']))

    def require_grad(self, method, primed):
        for name, p in self.parameter.items():
            patterns = [TRAINED[method], r'cls\..+'] + [PRIMED.get(method, '')] * primed
            p.requires_grad_(any(re.fullmatch(pattern, name) for pattern in patterns))
            p.grad = None

    def trained(self):
        return {name: p for name, p in self.parameter.items() if p.requires_grad}

    def nodes(self, layer, of=lambda p: p.data):
        """The three parts of the hidden nodes of a feed-forward, a row a node, as views: rows of
        ffn_up, its biases, columns of ffn_down."""
        up, bias, down = (of(self.parameter[f'blk.{layer}.{part}'])
                          for part in ('ffn_up.weight', 'ffn_up.bias', 'ffn_down.weight'))
        return up, bias[:, None], down.T

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


class Far:
    """FAR's nodes: from the flip on all but those that moved most are held where they are. The
    choice must not hang on a difference of margin or less."""

    def __init__(self, peer, retain, margin):
        self.peer, self.retain, self.margin = peer, retain, margin
        self.start = [torch.cat(peer.nodes(layer), 1) for layer in range(peer.layers)]
        self.held = []  # of each layer

    def flip(self):
        for layer, start in enumerate(self.start):
            nodes = self.peer.nodes(layer)
            distance = (torch.cat(nodes, 1) - start).abs().sum(1)
            order = torch.argsort(distance, descending=True, stable=True)
            kept = max(1, round(self.retain / 100 * len(order)))
            rest = order[kept:]
            if distance[order[kept - 1]] - distance[rest[0]] < self.margin:
                raise ValueError(f'block {layer}: two nodes moved too nearly as far to choose one')
            self.held.append((layer, rest, [part[rest] for part in nodes]))

    def hold_gradients(self):
        for layer, rest, _ in self.held:
            for part in self.peer.nodes(layer, lambda p: p.grad):
                part[rest] = 0

    def hold_values(self):
        """AdamW's moments and decay move what has no gradient too."""
        for layer, rest, values in self.held:
            for part, value in zip(self.peer.nodes(layer), values):
                part[rest] = value


def settings(**values):
    """The numbers of a case, as arrays of one."""
    return {name: np.array([value], np.float32 if isinstance(value, float) else np.int32)
            for name, value in values.items()}


def bytes_of(text):
    return np.frombuffer(text.encode(), np.uint8)


def method_of(case):
    return bytes(case['method']).decode()


def batches_of(case):
    """[{ids, types, offsets, labels}, ...]"""
    n = sum(re.fullmatch(r'batch\.\d+\.ids', key) is not None for key in case)
    return [{part: case[f'batch.{k}.{part}'] for part in ('ids', 'types', 'offsets', 'labels')}
            for k in range(n)]


def array(tensor):
    return tensor.detach().to(torch.float32).numpy().copy()


def train(peer, case, margin):
    """The losses of the run: AdamW, linear decay, clipping, and the flip."""
    method, steps, batches = method_of(case), int(case['steps'][0]), batches_of(case)
    rate, flip = float(case['rate'][0]), int(case['flip'][0])
    far = Far(peer, float(case['retain'][0]), margin) if method == 'far' else None
    peer.require_grad(method, primed=flip > 0)
    trained = peer.trained().values()
    optimizer = torch.optim.AdamW([
        {'params': [p for p in trained if p.ndim > 1], 'weight_decay': 0.01},
        {'params': [p for p in trained if p.ndim == 1], 'weight_decay': 0.0}])
    losses = []
    for step in range(steps):
        if step == flip:
            peer.require_grad(method, primed=False)
            if far:
                far.flip()
        for group in optimizer.param_groups:
            group['lr'] = rate * (steps - step) / steps
        optimizer.zero_grad()
        loss = peer.loss(batches[step % len(batches)])
        loss.backward()
        if far:
            far.hold_gradients()
        torch.nn.utils.clip_grad_norm_(peer.trained().values(), 1.0)
        optimizer.step()
        if far:
            far.hold_values()
        losses.append(loss.item())
    return np.array(losses, dtype=np.float32)


def solve(peer, case, margin=0.0):
    """What comes of a case, without the last weights: the model has them afterwards."""
    out = {}
    batches = batches_of(case)
    with torch.no_grad():
        for k, batch in enumerate(batches):
            out[f'logits.{k}'] = array(peer.logits(batch))
    peer.require_grad(method_of(case), primed=int(case['flip'][0]) > 0)
    peer.loss(batches[0]).backward()
    for name, p in peer.trained().items():
        out[f'gradient.{name}'] = array(p.grad)
    out['losses'] = train(peer, case, margin)
    return out
