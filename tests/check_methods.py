"""What becomes of a model that each method tuned: in evaluate, predict, inspect, collapse, convert
and PEFT's adapter directories. Usage: check_methods.py PROGRAMS, the folder of finetune and its
sisters."""

import json
import re

import numpy as np
from safetensors.numpy import load_file

from tools_harness import (Parts, distilbert_parts, read_keys, read_tensors, run_checks,
                           same_tensors)

TEXTS = ["the cat is good", "a dog 7", "bad mat", "on the very good mat"]
RUN = ["--epochs", "2", "--lr", "3e-3"]
LINEAR = r"blk\.\d\.(attn_q|attn_k|attn_v|attn_output|ffn_up|ffn_down)"
NORM = r"blk\.\d\.(attn_output|layer_output)_norm\.(weight|bias)"
HEAD = r"cls\.(output\.)?(weight|bias)"
LORA = [rf"{LINEAR}\.bias", NORM, HEAD]
ATTENTION = r"blk\.\d\.attn_(q|k|v|output)\.weight"
PLAIN, FOLDS, STAYS = "plain", "folds", "stays"  # what collapse makes of it

LINEARS = [("attn_q", 128, 128), ("attn_k", 128, 128), ("attn_v", 128, 128),
           ("attn_output", 128, 128), ("ffn_up", 512, 128), ("ffn_down", 128, 512)]


def factors(rank):
    return {f"{name}.weight.lora_{k}": shape for name, rows, columns in LINEARS
            for k, shape in (("a", (rank, columns)), ("b", (rows, rank)))}


# Method: its options, what inspect says of it, which of the base's tensors and the head's train,
# which tensors it adds to each of the two blocks, and what collapse does.
METHODS = {
    "full": ([], None, [".*"], {}, PLAIN),
    "learner": (["--size", 4, "--prime", 1, "--scale", 1.5], "rank 4", [*LORA, ATTENTION],
                factors(4), FOLDS),
    "lora": (["--size", 3, "--alpha", 10], "rank 3", LORA, factors(3), FOLDS),
    "bitfit": ([], None, [r"blk\..*\.bias", r"token_embd_norm\.bias", HEAD], {}, PLAIN),
    "adapter": (["--size", 5], "width 5", [NORM, HEAD],
                {f"adapter_{part}_{name}": shape for part in ("attn", "ffn") for name, shape in (
                    ("down.weight", (5, 128)), ("down.bias", (5,)), ("up.weight", (128, 5)),
                    ("up.bias", (128,)))}, STAYS),
    "parallel": (["--size", 6, "--scale", 2], "width 6", [NORM, HEAD],
                 {"adapter_down.weight": (6, 128), "adapter_down.bias": (6,),
                  "adapter_up.weight": (128, 6), "adapter_up.bias": (128,)}, STAYS),
    "freeze-ffn": ([], None, [ATTENTION, rf"{LINEAR}\.bias", NORM, HEAD], {}, PLAIN),
    "far": (["--retain", 20, "--prime-steps", 2], None, [".*"], {}, PLAIN),
}


def tune(tools, method, data, *more):
    """The tuned model's name, and the scores of its last epoch."""
    out, _ = tools.tune("model.gguf", *data, *RUN, "--method", method, *METHODS[method][0],
                        "--json", "--quiet", "--out", f"{method}.gguf", *more)
    return f"{method}.gguf", json.loads(out)["epochs"][-1]


def answers(tools, model):
    out, _ = tools.run("predict", model, *TEXTS, "--json")
    return [json.loads(line)["probabilities"] for line in out.splitlines()]


def same_answers(a, b):
    return all(abs(x[label] - y[label]) <= 1e-5 for x, y in zip(a, b, strict=True) for label in x)


def check_tensors(tools):
    """A method changes what it trains and leaves the rest to the bit; the file holds the base's
    tensors, the head, and what the method added."""
    tools.make_model()
    data = tools.make_data()
    base = read_tensors(tools / "model.gguf")
    for method, (_, _, trained, added, _) in METHODS.items():
        found = read_tensors(tools / tune(tools, method, data)[0])
        expected = {f"blk.{i}.{name}": shape for i in range(2) for name, shape in added.items()}
        assert {n: t.shape for n, t in found.items() if n not in base} == expected, method
        assert all(np.any(found[name]) for name in expected), method
        for name, t in base.items():
            assert found[name].shape == t.shape, (method, name)
            # A step moves an element by little more than the rate; other rows are 0.1 apart.
            assert name.startswith("cls.output") or np.abs(found[name] - t).max() < 0.05, name
            changed = found[name].tobytes() != t.tobytes()
            trains = any(re.fullmatch(pattern, name) for pattern in trained)
            if name.endswith("attn_k.bias") and trains:
                continue  # its gradient is zero in truth
            assert changed == trains, (method, name)


def check_answers(tools):
    """evaluate and predict need not be told the method; inspect tells it."""
    tools.make_model()
    data = tools.make_data(dev=40)
    for method, (_, size, _, _, _) in METHODS.items():
        model, last = tune(tools, method, data)
        scores = json.loads(tools.run("evaluate", model, *data[2:], "--json")[0])
        for name in "mcc", "accuracy":
            assert abs(scores[name] - last[name]) < 1e-12, (method, scores, last)
        for p in answers(tools, model):
            assert list(p) == ["no", "yes"] and abs(sum(p.values()) - 1) < 1e-6
        out, _ = tools.run("inspect", model)
        line = f"tuned with --method {method}, {size}\n"
        assert (line in out) == (size is not None) == ("tuned with" in out), out
        keys = read_keys(tools / model)
        assert keys.get("primer.method") == (method if size else None)
        assert keys.get("primer.size") == (int(size.split()[1]) if size else None)


def check_collapse(tools):
    """A plain model of the same answers, which can be tuned again; or a refusal that says why."""
    tools.make_model()
    data = tools.make_data()
    base = read_tensors(tools / "model.gguf")
    why = "adapters have a nonlinearity between their weights"
    for method, (options, _, _, _, kind) in METHODS.items():
        model, _ = tune(tools, method, data)
        again = ["finetune", model, *data, *RUN, "--method", "bitfit", "--out", "again.gguf"]
        if kind == STAYS:
            says = f"{model}: what the method '{method}' adds can't be folded in: {why}"
            tools.wrong("collapse", model, "plain.gguf", says="collapse: " + says)
            tools.wrong("convert", model, "folder", says="convert: " + says)
            tools.fails(*again, says=f"{model} was tuned with --method {method}, which can't be "
                        f"folded in ({why}): tune the model that it was made from")
            tools.wrong("finetune", "model.gguf", *data, "--method", method, "--collapse", says=why)
            continue
        out, _ = tools.run("collapse", model, f"{method}-plain.gguf")
        told = f"{model} is a plain model, with nothing to fold in: {method}-plain.gguf is the same"
        assert (told in out) == (kind == PLAIN), out
        plain = read_tensors(tools / f"{method}-plain.gguf")
        assert {n: t.shape for n, t in plain.items()} == {n: t.shape for n, t in base.items()}
        assert "tuned with" not in tools.run("inspect", f"{method}-plain.gguf")[0]
        assert same_answers(answers(tools, model), answers(tools, f"{method}-plain.gguf")), method
        tools.run("convert", model, f"{method}-folder")
        assert same_answers(answers(tools, model), answers(tools, f"{method}-folder")), method
        tools.tune("model.gguf", *data, *RUN, "--method", method, *options, "--collapse", "--quiet",
                   "--out", "collapsed.gguf")
        assert tools.read("collapsed.gguf") == tools.read(f"{method}-plain.gguf"), method
        if kind == FOLDS:
            tools.fails(*again, says=f"{model} was tuned with --method {method}, fold that in "
                        f"first: collapse {model} PLAIN.gguf")
        else:
            assert tools.read(model) == tools.read(f"{method}-plain.gguf")
        again[1] = f"{method}-plain.gguf"
        tools.tune(*again[1:], "--quiet")
        assert not same_tensors(read_tensors(tools / "again.gguf"), plain)


def check_use(tools):
    """Options that mean nothing for a method, or nothing in a run."""
    tools.make_model()
    data = tools.make_data()
    for words, says in (
            ("adapter --alpha 3", "--alpha means nothing for --method adapter; it goes with: lora"),
            ("lora --prime 1", "--prime means nothing for --method lora; it goes with: learner"),
            ("lora --scale 2", "--scale means nothing for --method lora; it goes with: learner, "
             "parallel"),
            ("bitfit --size 3", "--size means nothing for --method bitfit; it goes with: learner, "
             "lora, adapter, parallel"),
            ("freeze-ffn --retain 3", "--retain means nothing for --method freeze-ffn; it goes "
             "with: far"),
            ("learner --prime-steps 3", "--prime-steps means nothing for --method learner; it goes "
             "with: far"),
            ("far --retain 0", "--retain takes a number from 0.01 to 99.99, found '0'"),
            ("far --retain 100", "--retain takes a number from 0.01 to 99.99, found '100'"),
            ("far --prime-steps 0", "--prime-steps takes a whole number of 1 or more, or a "
             "percentage"),
            ("far --prime-steps 16", "priming for 16 steps is longer than the run, which has 15"),
            ("learner --prime 9", "--prime 9 is longer than the run of 5 epochs"),
            ("full --train blk.7.*", "--train 'blk.7.*' matches no parameter"),
            ("lora --freeze blk.*.adapter_*", "--freeze 'blk.*.adapter_*' matches no parameter")):
        tools.wrong("finetune", "model.gguf", *data, "--quiet", "--epochs", 5, "--out", "x.gguf",
                    "--method", *words.split(), says="finetune: " + says)
    for words, says in (
            (["--peft", "m.gguf", "x.gguf"], "--peft writes a folder: name one that does not end "
             "in .gguf"),
            (["--peft", "--random", "tiny", "--vocab", "v", "x"], "--peft and --random exclude"),
            (["--base", "b", "m.gguf", "x"], "--base goes with --peft")):
        tools.wrong("convert", *words, says="convert: " + says)


# ---- adapter directories ----

# By PEFT's rules, for layers 0 and 1: a wrapped layer's factors and, as bias is "lora_only", its
# bias; of modules_to_save all parameters, under the names that the model has for them.
BERT_LAYER = {
    "attention.self.query.lora_A.weight": (3, 128), "attention.self.query.lora_B.weight": (128, 3),
    "attention.self.query.base_layer.bias": (128,),
    "attention.self.key.lora_A.weight": (3, 128), "attention.self.key.lora_B.weight": (128, 3),
    "attention.self.key.base_layer.bias": (128,),
    "attention.self.value.lora_A.weight": (3, 128), "attention.self.value.lora_B.weight": (128, 3),
    "attention.self.value.base_layer.bias": (128,),
    "attention.output.dense.lora_A.weight": (3, 128),
    "attention.output.dense.lora_B.weight": (128, 3),
    "attention.output.dense.base_layer.bias": (128,),
    "attention.output.LayerNorm.weight": (128,), "attention.output.LayerNorm.bias": (128,),
    "intermediate.dense.lora_A.weight": (3, 128), "intermediate.dense.lora_B.weight": (512, 3),
    "intermediate.dense.base_layer.bias": (512,),
    "output.dense.lora_A.weight": (3, 512), "output.dense.lora_B.weight": (128, 3),
    "output.dense.base_layer.bias": (128,),
    "output.LayerNorm.weight": (128,), "output.LayerNorm.bias": (128,)}
BERT_REST = {
    "bert.embeddings.LayerNorm.weight": (128,), "bert.embeddings.LayerNorm.bias": (128,),
    "bert.pooler.dense.weight": (128, 128), "bert.pooler.dense.bias": (128,),
    "classifier.weight": (2, 128), "classifier.bias": (2,)}
DISTILBERT_LAYER = {
    "attention.q_lin.lora_A.weight": (3, 128), "attention.q_lin.lora_B.weight": (128, 3),
    "attention.q_lin.base_layer.bias": (128,),
    "attention.k_lin.lora_A.weight": (3, 128), "attention.k_lin.lora_B.weight": (128, 3),
    "attention.k_lin.base_layer.bias": (128,),
    "attention.v_lin.lora_A.weight": (3, 128), "attention.v_lin.lora_B.weight": (128, 3),
    "attention.v_lin.base_layer.bias": (128,),
    "attention.out_lin.lora_A.weight": (3, 128), "attention.out_lin.lora_B.weight": (128, 3),
    "attention.out_lin.base_layer.bias": (128,),
    "sa_layer_norm.weight": (128,), "sa_layer_norm.bias": (128,),
    "ffn.lin1.lora_A.weight": (3, 128), "ffn.lin1.lora_B.weight": (512, 3),
    "ffn.lin1.base_layer.bias": (512,),
    "ffn.lin2.lora_A.weight": (3, 512), "ffn.lin2.lora_B.weight": (128, 3),
    "ffn.lin2.base_layer.bias": (128,),
    "output_layer_norm.weight": (128,), "output_layer_norm.bias": (128,)}
DISTILBERT_REST = {
    "distilbert.embeddings.LayerNorm.weight": (128,),
    "distilbert.embeddings.LayerNorm.bias": (128,),
    "pre_classifier.weight": (128, 128), "pre_classifier.bias": (128,),
    "classifier.weight": (2, 128), "classifier.bias": (2,)}
CONFIG = {
    "peft_type": "LORA", "task_type": "SEQ_CLS", "base_model_name_or_path": None,
    "inference_mode": True, "r": 3, "lora_alpha": 10, "lora_dropout": 0.0, "bias": "lora_only",
    "fan_in_fan_out": False}
KINDS = {
    "bert": ("bert.encoder.layer.", BERT_LAYER, BERT_REST,
             ["query", "key", "value", "attention.output.dense", "intermediate.dense",
              "output.dense"], ["LayerNorm", "pooler", "classifier"]),
    "distilbert": ("distilbert.transformer.layer.", DISTILBERT_LAYER, DISTILBERT_REST,
                   ["q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"],
                   ["LayerNorm", "sa_layer_norm", "output_layer_norm", "pre_classifier",
                    "classifier"])}


def check_peft(tools):
    """The directory that PEFT reads: its keys, shapes and settings; and the lines that load it."""
    tools.make_model()
    data = tools.make_data()
    for kind, (stem, layer, rest, targets, saved) in KINDS.items():
        if kind == "distilbert":
            tools.write("model.gguf", distilbert_parts(tools.read("model.gguf")).bytes())
        model, _ = tune(tools, "lora", data)
        out, _ = tools.run("convert", "--peft", model, kind)
        assert sorted(p.name for p in (tools / kind).iterdir()) == [
            "adapter_config.json", "adapter_model.safetensors", "model_config.json"]
        shapes = {f"{stem}{i}.{name}": shape for i in range(2) for name, shape in layer.items()}
        shapes = {f"base_model.model.{name}": shape for name, shape in (shapes | rest).items()}
        found = load_file(tools / kind / "adapter_model.safetensors")
        assert {name: t.shape for name, t in found.items()} == shapes
        assert all(t.dtype == np.float32 for t in found.values())
        config = json.loads(tools.read(f"{kind}/adapter_config.json"))
        assert config == {**CONFIG, "target_modules": targets, "modules_to_save": saved}
        config = json.loads(tools.read(f"{kind}/model_config.json"))
        assert (config["model_type"], config["id2label"]) == (kind, {"0": "no", "1": "yes"})
        count = sum(t.size for t in found.values())
        assert out == (f"{kind}: a PEFT adapter, rank 3, scale 3.33333, {count:,} parameters. In "
                       f"Python:\n{loading_lines(kind, 'BASE')}where BASE is the folder of the "
                       f"model that was tuned: convert base.gguf BASE\n{REMARK}"), out

    # Again into its own directory, with a name for the base; not into one that holds other things.
    out, _ = tools.run("convert", "--peft", "--base", 'a "base"', model, kind)
    assert out.endswith("In Python:\n" + loading_lines(kind, r"a \x22base\x22") + REMARK), out
    assert json.loads(tools.read(f"{kind}/adapter_config.json"))["base_model_name_or_path"] == (
        'a "base"')
    tools.fails("convert", "--peft", "--base", b"\xff", model, kind, says="no valid UTF-8")
    tools.write(f"{kind}/notes.txt", "mine")
    tools.fails("convert", "--peft", model, kind, says="distilbert: holds 'notes.txt', which is no "
                "part of an exported model")


REMARK = "A base with a head for other labels loads with ignore_mismatched_sizes=True\n"


def loading_lines(folder, base):
    return ("  from peft import PeftModel\n"
            "  from transformers import AutoConfig, AutoModelForSequenceClassification\n"
            f'  adapter, base = "{folder}", "{base}"\n'
            '  config = AutoConfig.from_pretrained(adapter + "/model_config.json")\n'
            "  model = AutoModelForSequenceClassification.from_pretrained(base, config=config)\n"
            "  model = PeftModel.from_pretrained(model, adapter).eval()\n")


def check_no_peft(tools):
    """What is no adapter of its base: why, and what there is instead."""
    tools.make_model()
    data = tools.make_data()
    for method, reason in (
            ("full", "it is a plain model, and nothing stands beside its weights; 'convert {0} x' "
             "writes the whole model"),
            ("learner", "8 of the base's weights trained too, 'blk.0.attn_q.weight' the first, and "
             "an adapter leaves these as they were; 'convert {0} x' writes the collapsed model"),
            ("adapter", "PEFT has no method that is like 'adapter'; nor can it be collapsed: "
             "adapters have a nonlinearity between their weights")):
        model, _ = tune(tools, method, data)
        tools.wrong("convert", "--peft", model, "x",
                    says=f"convert: {model} can't be a PEFT adapter: {reason.format(model)}\n")
    more = ["--train", "token_embd.weight", "--train", "blk.1.ffn_up.weight"]
    model, _ = tune(tools, "lora", data, *more)
    tools.wrong("convert", "--peft", model, "x", says="lora.gguf can't be a PEFT adapter: 2 of the "
                "base's weights trained too, 'token_embd.weight' the first, and an adapter")

    # A learner is one where no attention trained; biases and norms are carried.
    for more in ["--prime", 0, "--train", "token_embd_norm.*"], ["--freeze", "blk.*.attn_*.weight"]:
        model, _ = tune(tools, "learner", data, *more)
        tools.run("convert", "--peft", model, "y")
        assert json.loads(tools.read("y/adapter_config.json"))["lora_alpha"] == 6

    # A file of before does not tell.
    parts = Parts(tools.read(model))
    parts.keys.pop("primer.base_changed")
    tools.write("old.gguf", parts.bytes())
    tools.wrong("convert", "--peft", "old.gguf", "x", says="old.gguf can't be a PEFT adapter: the "
                "file does not say whether the base's weights trained, as an older Primer wrote "
                "it; 'convert old.gguf x' writes the collapsed model")


run_checks(globals())
