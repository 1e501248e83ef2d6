#!/usr/bin/env python3
"""Adapter directories against PEFT itself: what tests/peer runs.

    check_peft.py FOLDER        the folder of the built print_model

Models of full size are tuned a few steps, exported by convert --peft, and loaded onto their bases
by the very lines that convert prints; ends with 1 if PEFT warns of anything or logits differ."""
import os
import pathlib
import sys
import tempfile
import warnings

os.environ['HF_HUB_OFFLINE'] = '1'  # all there is lies in folders

import numpy as np  # noqa: E402
import peft  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.numpy import load_file  # noqa: E402

import torch_model  # noqa: E402
from check_peer import (BERT, ROOT, TEXTS, Checks, logits_apart, make_case,  # noqa: E402
                        make_distilbert, ours, run, torch_logits)

MOST = 1e-5
RUN = ['--epochs', 2, '--batch-size', 4, '--lr', 1e-3, '--quiet']


class Adapted(torch_model.Peer):
    """A model inside PEFT's: its parameters go by other names than a Peer's."""

    def __init__(self, model):
        self.model = model


def write_labels(scratch, labels):
    rows = [f'{text}\t{labels[i % len(labels)]}' for i, text in enumerate(TEXTS)]
    (scratch / 'train.tsv').write_text('\n'.join(['sentence\tlabel', *rows]) + '\n')
    return ['--train-file', scratch / 'train.tsv', '--text', 'sentence', '--label', 'label']


def write_numbers(scratch):
    """Files of a task whose labels are numbers."""
    head = 'index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore'
    rows = [f'{i}\tg\tf\ty\t{i}\ts\ts\t{text}\t{TEXTS[i - 1]}\t{i % 6 * 0.9}'
            for i, text in enumerate(TEXTS)]
    for name in 'train.tsv', 'dev.tsv':
        (scratch / name).write_text('\n'.join([head, *rows]) + '\n')
    return ['--task', 'STS-B', '--data', scratch]


def load_adapter(checks, label, told, other_head):
    """The model that the printed lines of Python end with; with the change that they speak of where
    the base has a head for other labels."""
    lines = [line[2:] for line in told.splitlines() if line.startswith('  ')]
    remark = [line for line in told.splitlines() if line.endswith('ignore_mismatched_sizes=True')]
    checks.equal(f'{label}: lines of Python, and a remark', (len(lines), len(remark)), (6, 1))
    text = '\n'.join(lines)
    if other_head:
        text = text.replace('config=config', 'config=config, ignore_mismatched_sizes=True')
    names = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        exec(text, names)
    # What transformers tells of its own future is none of the adapter's.
    said = [str(w.message) for w in caught if not issubclass(w.category, FutureWarning)]
    checks.equal(f'{label}: warnings', said, [])
    return names['model']


def check_tensors(checks, label, model, folder, base):
    """The file is what PEFT would save, and all of it but the embeddings' norm has trained."""
    found = load_file(folder / 'adapter_model.safetensors')
    kept = {name: torch_model.array(t) for name, t in peft.get_peft_model_state_dict(model).items()}
    checks.equal(f'{label}: tensors that PEFT would not save',
                 sorted(found.keys() ^ kept.keys()), [])
    checks.equal(f'{label}: tensors that PEFT has otherwise',
                 [n for n in found if not np.array_equal(found[n], kept.get(n))], [])
    plain = transformers.AutoModel.from_pretrained(base).state_dict()
    untrained = []
    for name, value in found.items():
        stem = name.removeprefix('base_model.model.').replace('base_layer.', '')
        was = plain.get(stem.split('.', 1)[1])
        if was is not None and np.array_equal(torch_model.array(was), value):
            untrained.append(stem.split('.', 1)[1])
    checks.equal(f'{label}: tensors as in the base', sorted(untrained),
                 ['embeddings.LayerNorm.bias', 'embeddings.LayerNorm.weight'])


def check_adapter(checks, programs, label, base, scratch, data, options):
    tuned, plain, folder = scratch / 'tuned.gguf', scratch / 'plain.gguf', scratch / 'adapter'
    run(ROOT / 'tools' / 'finetune', base, *data, *options, *RUN, '--out', tuned)
    run(ROOT / 'tools' / 'collapse', tuned, plain)
    told = run(ROOT / 'tools' / 'convert', '--peft', '--base', base, tuned, folder)
    before = transformers.AutoConfig.from_pretrained(base)
    after = transformers.AutoConfig.from_pretrained(folder / 'model_config.json')
    other_head = 'ForSeq' in before.architectures[0] and before.num_labels != after.num_labels
    case = make_case(np.random.default_rng(2), before)
    model = load_adapter(checks, label, told, other_head)
    check_tensors(checks, label, model, folder, base)
    reader = ours(programs, tuned, case, scratch)
    checks.at_most(f'{label}: logits', logits_apart(reader, torch_logits(Adapted(model), case)),
                   MOST)
    if before.num_labels == after.num_labels:
        bare = transformers.AutoModelForSequenceClassification.from_pretrained(base)
        bare = peft.PeftModel.from_pretrained(bare, folder).eval()
        checks.at_most(f'{label}: logits without its config',
                       logits_apart(reader, torch_logits(Adapted(bare), case)), MOST)
        alone = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
        checks.at_most(f"{label}: logits by transformers' own loading",
                       logits_apart(reader, torch_logits(Adapted(alone), case)), MOST)
    merged = model.merge_and_unload()
    reader = ours(programs, plain, case, scratch)
    checks.at_most(f'{label}: logits, collapsed and merged',
                   logits_apart(reader, torch_logits(Adapted(merged), case)), MOST)
    return merged.config


def check_kind(checks, programs, label, base, name):
    for method, heads, *options in (
            ('lora', ('two', 'three'), '--size', 7, '--alpha', 10),
            ('learner', ('two', 'number'), '--size', 16, '--scale', 1.5, '--prime', 0)):
        for head in heads:
            with tempfile.TemporaryDirectory(dir=name) as scratch:
                scratch = pathlib.Path(scratch)
                names = {'two': ['no', 'yes'], 'three': ['say "maybe"', 'né', 'z']}.get(head)
                data = write_labels(scratch, names) if names else write_numbers(scratch)
                what = f'{label} {method}, {head}'
                config = check_adapter(checks, programs, what, base, scratch, data,
                                       ['--method', method, *options])
                checks.equal(f'{what}: labels', [config.id2label[i] for i in range(
                    config.num_labels)], sorted(names) if names else ['LABEL_0'])
                checks.equal(f'{what}: problem', config.problem_type, 'single_label_classification'
                             if names else 'regression')


def main():
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.simplefilter('ignore', FutureWarning)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    programs, checks = pathlib.Path(sys.argv[1]).resolve(), Checks()
    with tempfile.TemporaryDirectory() as name:
        distilbert = pathlib.Path(name) / 'distilbert'
        make_distilbert(distilbert)
        for label, base in ('BERT', BERT), ('DistilBERT', distilbert):
            check_kind(checks, programs, label, base, name)
    print(f'{checks.failed} failed' if checks.failed else 'all good')
    sys.exit(checks.failed > 0)


if __name__ == '__main__':
    main()
