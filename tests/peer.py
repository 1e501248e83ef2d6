#!/usr/bin/env python3
"""The peer: the same work in PyTorch, with Hugging Face's transformers and PEFT, on the CPU or a
GPU, or in ONNX Runtime.

What a user would run instead of Primer. Ends with one line of JSON: seconds of a step, real tokens
a second, peak memory of the process, the dev scores of each epoch.

    peer.py --model DIR --task-dir GLUE/CoLA --method learner --rank 64 --prime 2
    peer.py --random distilbert --vocab VOCAB.TXT --task-dir GLUE/CoLA --method full --steps 20
    peer.py --model DIR --task-dir GLUE/CoLA --predict
    peer.py --model DIR --export model.onnx
    peer.py --model DIR --task-dir GLUE/CoLA --predict --engine onnx --onnx model.onnx

The folder has train.tsv and dev.tsv, in CoLA's form or with the header `sentence<TAB>label`. A
batch is padded to its longest sentence, the peer's best case. Methods: full; learner (PEFT's LoRA
layers on the six linear layers of a block, alpha = rank, with those layers' biases and the blocks'
layer norms; --prime trains the attention's weights too in the first epochs); lora (the same);
adapter (a branch of width 256 after attention and after the feed-forward, with the blocks' layer
norms); bitfit; freeze-ffn.

LoRA layers are PEFT's, or where it is not installed the same in plain PyTorch (peer_lora.py;
--plain-lora takes those in any case). --compile is torch.compile: lengths that differ from batch to
batch make it compile once more, for any length; --bf16 is autocast, over weights in f32.

On a GPU (--device cuda) the losses are read when all steps are done, batches are padded before the
first of them, and AdamW is the fused one, as in transformers' own trainer; times are the GPU's.

--predict classifies the texts of dev.tsv, in their order, or with --sort by their length, which
pads less. ONNX Runtime takes a file that --export wrote: its process knows nothing of PyTorch.
"""
import time

STARTED = time.monotonic()  # before torch is loaded: a user waits for that too

import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import pathlib  # noqa: E402

METHODS = ['full', 'learner', 'lora', 'adapter', 'bitfit', 'freeze-ffn']


def options():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--model', type=pathlib.Path, help='a Hugging Face folder')
    p.add_argument('--random', choices=['distilbert'], help='random weights instead')
    p.add_argument('--vocab', help="the random model's vocab.txt")
    p.add_argument('--task-dir', type=pathlib.Path)
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
    p.add_argument('--device', choices=['cpu', 'cuda'], default='cpu', help='what trains')
    p.add_argument('--gpu', type=int, default=0, help='which')
    p.add_argument('--plain-lora', action='store_true', help='without PEFT, though it is there')
    p.add_argument('--bf16', action='store_true')
    p.add_argument('--compile', action='store_true')
    p.add_argument('--dump-losses', type=pathlib.Path, help='write the loss of every step here')
    p.add_argument('--predict', action='store_true', help='classify the dev set; train nothing')
    p.add_argument('--sort', action='store_true', help='predict short texts first')
    p.add_argument('--engine', choices=['torch', 'onnx'], default='torch', help='what predicts')
    p.add_argument('--onnx', type=pathlib.Path, help='the exported model that onnx runs')
    p.add_argument('--export', type=pathlib.Path, help='write the model for onnx, and end')
    a = p.parse_args()
    if bool(a.model) == bool(a.random):
        p.error('give either --model or --random')
    if a.random and not a.vocab:
        p.error('--random needs --vocab')
    if not a.task_dir and not a.export:
        p.error('--task-dir is missing')
    if a.engine == 'onnx' and not (a.predict and a.onnx):
        p.error('--engine onnx needs --predict and --onnx FILE')
    if a.engine == 'onnx' and (a.bf16 or a.compile):
        p.error('--bf16 and --compile are for torch')
    if a.device == 'cuda' and (a.predict or a.export):
        p.error('--device cuda is for training')
    return a


def main():
    a = options()
    # Each way of working loads what it needs and no more: memory and the first step count.
    if a.export:
        from peer_torch import export
        export(a)
        return
    if a.engine == 'onnx':
        from peer_onnx import run
    elif a.predict:
        from peer_torch import predict as run
    else:
        from peer_train import run
    print(json.dumps(run(a, STARTED)), flush=True)


if __name__ == '__main__':
    main()
