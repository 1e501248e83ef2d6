#!/usr/bin/env python3
"""The peer: the same fine-tuning in PyTorch, with Hugging Face's transformers and PEFT, on the CPU.

What a user would run instead of Primer. Ends with one line of JSON: seconds of a step, real tokens
a second, peak memory of the process, the dev scores of each epoch.

    peer.py --model DIR --task-dir GLUE/CoLA --method learner --rank 64 --prime 2
    peer.py --random distilbert --vocab VOCAB.TXT --task-dir GLUE/CoLA --method full --steps 20

The folder has train.tsv and dev.tsv, in CoLA's form or with the header `sentence<TAB>label`. A
batch is padded to its longest sentence, the peer's best case. Methods: full; learner (PEFT's LoRA
layers on the six linear layers of a block, alpha = rank, with those layers' biases and the blocks'
layer norms; --prime trains the attention's weights too in the first epochs); lora (the same);
bitfit; freeze-ffn.
"""
import time

STARTED = time.monotonic()  # before torch is loaded: a user waits for that too

import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import pathlib  # noqa: E402
import random  # noqa: E402
import resource  # noqa: E402

import torch  # noqa: E402
import transformers  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402

WARM_STEPS = 3  # first steps left out of timing, in runs of more than twice as many
METHODS = ['full', 'learner', 'lora', 'bitfit', 'freeze-ffn']

# Parts of parameters' names, by the model's type.
LINEAR = {'distilbert': ['q_lin', 'k_lin', 'v_lin', 'out_lin', 'lin1', 'lin2'],
          'bert': ['query', 'key', 'value', 'attention.output.dense', 'intermediate.dense',
                   'output.dense']}
BLOCK = {'distilbert': 'transformer.layer.', 'bert': 'encoder.layer.'}
ATTENTION = ('q_lin', 'k_lin', 'v_lin', 'out_lin', 'query', 'key', 'value',
             'attention.output.dense')
FEED_FORWARD = ('lin1.weight', 'lin2.weight', 'intermediate.dense.weight', 'output.dense.weight')
HEAD = ('classifier', 'pre_classifier', 'pooler')


def options():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--model', help='a Hugging Face folder')
    p.add_argument('--random', choices=['distilbert'], help='random weights instead')
    p.add_argument('--vocab', help="the random model's vocab.txt")
    p.add_argument('--task-dir', type=pathlib.Path, required=True)
    p.add_argument('--method', choices=METHODS, default='learner')
    p.add_argument('--rank', type=int, default=64)
    p.add_argument('--prime', type=int, default=0)
    p.add_argument('--epochs', type=int, default=5)
    p.add_argument('--steps', type=int, default=0, help='stop after so many')
    p.add_argument('--batch-size', type=int, default=16)
    p.add_argument('--lr', type=float, default=2e-5)
    p.add_argument('--weight-decay', type=float, default=0.01)
    p.add_argument('--max-length', type=int, default=128)
    p.add_argument('--pad-to-max', action='store_true')
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--threads', type=int, default=os.cpu_count())
    p.add_argument('--bf16', action='store_true')
    p.add_argument('--compile', action='store_true')
    p.add_argument('--dump-losses', type=pathlib.Path, help='write the loss of every step here')
    a = p.parse_args()
    if bool(a.model) == bool(a.random):
        p.error('give either --model or --random')
    if a.random and not a.vocab:
        p.error('--random needs --vocab')
    return a


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


def encode(tokenizer, rows, max_length):
    return [(tokenizer(text, truncation=True, max_length=max_length)['input_ids'], label)
            for text, label in rows]


def padded(items, length):
    """A batch, padded to its longest sentence, or to length where that is not 0."""
    length = length or max(len(ids) for ids, _ in items)
    input_ids = torch.zeros(len(items), length, dtype=torch.long)
    mask = torch.zeros_like(input_ids)
    for row, (ids, _) in enumerate(items):
        input_ids[row, :len(ids)] = torch.tensor(ids)
        mask[row, :len(ids)] = 1
    labels = torch.tensor([label for _, label in items])
    return {'input_ids': input_ids, 'attention_mask': mask}, labels


# ---- the model ----

def make_model(a):
    if a.random:
        config = transformers.DistilBertConfig()
        model = transformers.DistilBertForSequenceClassification(config)
        tokenizer = transformers.BertTokenizerFast(a.vocab)
    else:
        tokenizer = transformers.AutoTokenizer.from_pretrained(a.model)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(a.model,
                                                                                num_labels=2)
    kind = model.config.model_type
    if a.method in ('learner', 'lora'):
        import peft
        model = peft.get_peft_model(model, peft.LoraConfig(
            r=a.rank, lora_alpha=a.rank, target_modules=LINEAR[kind], lora_dropout=0.0))
    return model, tokenizer, kind


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
    norm = 'LayerNorm' in name or 'layer_norm' in name
    primed = name.endswith('base_layer.weight') and any(part in name for part in ATTENTION)
    return 'lora_' in name or (block and (norm or bias or (primed and epoch < a.prime)))


def make_optimizer(a, model, old=None):
    """AdamW of what trains; with the states of an older one."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        [{'params': [p for p in trained if p.ndim > 1], 'weight_decay': a.weight_decay},
         {'params': [p for p in trained if p.ndim <= 1], 'weight_decay': 0.0}], lr=a.lr)
    for p in trained if old else []:
        if p in old.state:
            optimizer.state[p] = old.state[p]
    return optimizer


class Peer:
    def __init__(self, a):
        self.a = a
        self.model, tokenizer, self.kind = make_model(a)
        self.train_rows, self.dev_rows = (
            encode(tokenizer, read_rows(a.task_dir / name), a.max_length)
            for name in ('train.tsv', 'dev.tsv'))
        self.forward = torch.compile(self.model) if a.compile else self.model
        self.optimizer = None
        self.begin(0)
        self.total = sum(p.numel() for p in self.model.parameters())
        self.trained = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        self.per_epoch = (len(self.train_rows) + a.batch_size - 1) // a.batch_size
        self.losses, self.seconds, self.tokens = [], [], []  # of each step
        self.first_step_s = None

    def begin(self, epoch):
        for name, p in self.model.named_parameters():
            p.requires_grad_(trains(self.a, self.kind, name, epoch))
        self.optimizer = make_optimizer(self.a, self.model, self.optimizer)

    def logits(self, x):
        if not self.a.bf16:
            return self.forward(**x).logits
        with torch.autocast('cpu', torch.bfloat16):
            return self.forward(**x).logits.float()

    def batch(self, items):
        return padded(items, self.a.max_length if self.a.pad_to_max else 0)

    def step(self, items):
        x, labels = self.batch(items)
        start = time.monotonic()
        for group in self.optimizer.param_groups:
            group['lr'] = self.a.lr * (1 - len(self.losses) / (self.per_epoch * self.a.epochs))
        loss = cross_entropy(self.logits(x), labels)
        self.optimizer.zero_grad()
        loss.backward()
        trained = [p for p in self.model.parameters() if p.requires_grad]
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        self.optimizer.step()
        self.seconds.append(time.monotonic() - start)
        self.tokens.append(int(x['attention_mask'].sum()))
        self.losses.append(float(loss.detach()))
        if self.first_step_s is None:
            self.first_step_s = time.monotonic() - STARTED

    def score(self):
        """Accuracy and Matthews's correlation on the dev set."""
        self.model.eval()
        count = torch.zeros(2, 2)  # (answer, truth)
        with torch.no_grad():
            for k in range(0, len(self.dev_rows), 64):
                x, labels = self.batch(self.dev_rows[k:k + 64])
                for answer, truth in zip(self.logits(x).argmax(-1), labels):
                    count[answer, truth] += 1
        self.model.train()
        (tn, fn), (fp, tp) = count.tolist()
        root = ((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)) ** 0.5
        return {'accuracy': round((tp + tn) / len(self.dev_rows), 4),
                'mcc': round((tp * tn - fp * fn) / root if root else 0.0, 4)}

    def train(self):
        """The report of each whole epoch."""
        a, epochs, order = self.a, [], list(range(len(self.train_rows)))
        self.model.train()
        for epoch in range(a.epochs):
            if epoch and epoch == a.prime:
                self.begin(epoch)
            random.shuffle(order)
            start = time.monotonic()
            for k in range(0, len(order), a.batch_size):
                self.step([self.train_rows[i] for i in order[k:k + a.batch_size]])
                if a.steps and len(self.losses) >= a.steps:
                    return epochs
            seconds = round(time.monotonic() - start, 1)
            loss = round(sum(self.losses[-self.per_epoch:]) / self.per_epoch, 4)
            epochs.append({'epoch': epoch, 'seconds': seconds, 'loss': loss, **self.score()})
        return epochs

    def report(self, epochs):
        a, steps = self.a, len(self.seconds)
        warm = WARM_STEPS if steps > 2 * WARM_STEPS else 0
        timed = sorted(self.seconds[warm:])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return {'method': a.method, 'rank': a.rank, 'prime': a.prime, 'seed': a.seed,
                'total': self.total, 'trained': self.trained, 'steps': steps,
                'median_step_s': round(timed[len(timed) // 2], 4),
                'real_tokens_per_s': round(sum(self.tokens[warm:]) / sum(timed), 1),
                'mean_tokens': round(sum(self.tokens) / steps, 1),
                'peak_rss_gb': round(peak / 1e9, 3), 'epochs': epochs,
                'first_step_s': round(self.first_step_s, 3),
                'wall_s': round(time.monotonic() - STARTED, 1)}


def main():
    a = options()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    random.seed(a.seed)
    peer = Peer(a)
    print(json.dumps(peer.report(peer.train())), flush=True)
    if a.dump_losses:
        a.dump_losses.write_text('\n'.join(f'{loss:.6f}' for loss in peer.losses))


if __name__ == '__main__':
    main()
