"""The peer's fine-tuning, in PyTorch, transformers and PEFT, on the CPU or a GPU."""
import random
import time

import torch
from torch.nn.functional import cross_entropy

from peer_batches import Times, padded, read_items, scores
from peer_torch import Forward, begin, encoder, is_plain, make_model, tensors

# Parts of parameters' names, by the model's type.
BLOCK = {'distilbert': 'transformer.layer.', 'bert': 'encoder.layer.'}
ATTENTION = ('q_lin', 'k_lin', 'v_lin', 'out_lin', 'query', 'key', 'value',
             'attention.output.dense')
FEED_FORWARD = ('lin1.weight', 'lin2.weight', 'intermediate.dense.weight', 'output.dense.weight')
HEAD = ('classifier', 'pre_classifier', 'pooler')


def trains(a, kind, name, epoch):
    """Whether a parameter trains in this epoch."""
    head, block = any(part in name for part in HEAD), BLOCK[kind] in name
    bias = name.endswith('.bias')
    if a.method == 'full' or head:
        return True
    if a.method == 'bitfit':
        return bias
    if a.method == 'freeze-ffn':
        return block and ('attention' in name or not name.endswith(FEED_FORWARD))
    norm = block and ('LayerNorm' in name or 'layer_norm' in name)
    if a.method == 'adapter':
        return norm or '.adapter.' in name
    primed = name.endswith('base_layer.weight') and any(part in name for part in ATTENTION)
    return 'lora_' in name or norm or (block and (bias or (primed and epoch < a.prime)))


def make_optimizer(a, model, old=None):
    """AdamW of what trains; with the states of an older one."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        [{'params': [p for p in trained if p.ndim > 1], 'weight_decay': a.weight_decay},
         {'params': [p for p in trained if p.ndim <= 1], 'weight_decay': 0.0}], lr=a.lr,
        fused=a.device == 'cuda' or None)
    for p in trained if old else []:
        if p in old.state:
            optimizer.state[p] = old.state[p]
    return optimizer


class Peer:
    def __init__(self, a, started):
        self.a = a
        self.model, tokenizer, self.kind = make_model(a)
        self.model.to(a.device)
        encode = encoder(tokenizer, a.max_length)
        self.train_items, self.dev_items = (read_items(a.task_dir / name, encode)
                                            for name in ('train.tsv', 'dev.tsv'))
        self.logits = Forward(a, self.model)
        self.optimizer = None
        self.begin(0)
        self.total = sum(p.numel() for p in self.model.parameters())
        self.trained = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        self.per_epoch = (len(self.train_items) + a.batch_size - 1) // a.batch_size
        self.times, self.losses = self.make_times(started), []

    def make_times(self, started):
        if self.a.device == 'cpu':
            return Times(started)
        from peer_cuda import Times as TimesOfGpu
        return TimesOfGpu(started)

    def begin(self, epoch):
        for name, p in self.model.named_parameters():
            p.requires_grad_(trains(self.a, self.kind, name, epoch))
        self.optimizer = make_optimizer(self.a, self.model, self.optimizer)

    # ---- batches ----

    def batch(self, items):
        """What a step takes, on the host."""
        batch, labels = padded(items, self.a.max_length if self.a.pad_to_max else 0)
        if self.a.device == 'cpu':
            return tensors(batch), torch.from_numpy(labels)
        from peer_cuda import pinned
        return pinned(batch, labels)

    def batches(self, order):
        """Of an epoch, as far as it is trained. A GPU finds them made: a user's loader makes them
        in other processes while it trains."""
        a, left = self.a, self.a.steps - len(self.losses)
        starts = range(0, len(order), a.batch_size)
        made = (self.batch([self.train_items[i] for i in order[k:k + a.batch_size]])
                for k in (starts[:left] if a.steps else starts))
        return list(made) if a.device == 'cuda' else made

    def on_device(self, batch):
        return {name: values.to(self.a.device, non_blocking=True)
                for name, values in batch.items()}

    # ---- training ----

    def step(self, batch, labels):
        start = self.times.now()
        for group in self.optimizer.param_groups:
            group['lr'] = self.a.lr * (1 - len(self.losses) / (self.per_epoch * self.a.epochs))
        loss = cross_entropy(self.logits(self.on_device(batch)),
                             labels.to(self.a.device, non_blocking=True))
        self.optimizer.zero_grad()
        loss.backward()
        trained = [p for p in self.model.parameters() if p.requires_grad]
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        self.optimizer.step()
        self.times.step(start, batch)
        self.losses.append(loss.detach())  # read later: that would wait for a GPU

    def score(self):
        """Accuracy and Matthews's correlation on the dev set."""
        self.model.eval()
        answers = []
        with torch.no_grad():
            for k in range(0, len(self.dev_items), 64):
                batch, _ = self.batch(self.dev_items[k:k + 64])
                answers.extend(self.logits(self.on_device(batch)).argmax(-1).tolist())
        self.model.train()
        return scores(answers, [label for _, label in self.dev_items])

    def train(self):
        """The report of each whole epoch."""
        a, epochs, order = self.a, [], list(range(len(self.train_items)))
        self.model.train()
        for epoch in range(a.epochs):
            if epoch and epoch == a.prime:
                self.begin(epoch)
            random.shuffle(order)
            start = time.monotonic()
            for batch, labels in self.batches(order):
                self.step(batch, labels)
            if a.steps and len(self.losses) >= a.steps:
                return epochs
            loss = round(sum(map(float, self.losses[-self.per_epoch:])) / self.per_epoch, 4)
            seconds = round(time.monotonic() - start, 1)
            epochs.append({'epoch': epoch, 'seconds': seconds, 'loss': loss, **self.score()})
        return epochs


def run(a, started):
    begin(a)
    random.seed(a.seed)
    peer = Peer(a, started)
    epochs = peer.train()
    if a.dump_losses:
        a.dump_losses.write_text('\n'.join(f'{float(loss):.6f}' for loss in peer.losses))
    device = {}
    if a.device == 'cuda':
        from peer_cuda import describe
        device = {'device': describe() | {'lora': 'plain PyTorch' if is_plain(a) else 'PEFT'}}
    return {'method': a.method, 'rank': a.rank, 'prime': a.prime, 'seed': a.seed,
            'total': peer.total, 'trained': peer.trained, **peer.times.report(), **device,
            'epochs': epochs}
