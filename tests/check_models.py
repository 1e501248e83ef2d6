"""convert, collapse and inspect. Usage: check_models.py PROGRAMS, the folder of finetune and its
sisters."""

import fnmatch
import json
import re
import struct

import numpy as np
from safetensors.numpy import load_file, save_file

from tools_harness import (ARRAY, PIECES, TEXT, Parts, distilbert_parts, read_keys, read_tensors,
                           run_checks, same_tensors, text_bytes, texts_bytes)

FOLDER = ["config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"]


def make_learner(tools, *more):
    data = [tools.make_model(), *tools.make_data()]
    tools.tune(*data, "--learner", 4, "--scale", 0.5, "--lr", "1e-2", "--quiet", *more)
    return "model-tuned.gguf"


def check_random(tools):
    """The seed says what is drawn; sizes are those of the name."""
    sizes = {"tiny": (2, 128, 512, 2), "minilm": (6, 384, 1536, 12)}
    for kind, (layers, width, ffn, heads) in sizes.items():
        tools.make_model("a.gguf", kind)
        keys = read_keys(tools / "a.gguf")
        assert [keys["bert." + name] for name in (
            "block_count", "embedding_length", "feed_forward_length", "attention.head_count",
            "context_length")] == [layers, width, ffn, heads, 512]
    for name, seed in ("b.gguf", 0), ("c.gguf", 1):
        tools.make_model(name, "minilm", seed)
    assert tools.read("a.gguf") == tools.read("b.gguf") != tools.read("c.gguf")
    out, _ = tools.run("convert", "--random", "tiny", "--vocab", "vocab.txt", "d.gguf")
    tools.run("convert", "--random", "tiny", "--vocab", "a.gguf", "e.gguf")
    assert tools.read("d.gguf") == tools.read("e.gguf"), "another vocabulary from a GGUF file"
    count = sum(t.size for t in read_tensors(tools / "d.gguf").values())
    assert out == (f"d.gguf: BERT, 2 layers of width 128, {len(PIECES)} pieces, {count:,} "
                   "parameters\n"), out


def check_round_trip(tools):
    """GGUF to a Hugging Face folder and back, bit for bit, and the folder likewise."""
    tools.make_model()
    labels = ARRAY, texts_bytes(["LABEL_0", "LABEL_1"])  # what a folder calls those without names
    for model, parts in (("model.gguf", Parts(tools.read("model.gguf"))),
                         ("distil.gguf", distilbert_parts(tools.read("model.gguf")))):
        parts.add_key("bert.classifier.output_labels", *labels, before="tokenizer.ggml.model")
        tools.write(model, parts.bytes())
        tools.run("convert", model, "folder")
        assert sorted(p.name for p in (tools / "folder").iterdir()) == FOLDER
        assert tools.read("folder/vocab.txt") == tools.read("vocab.txt")
        tools.run("convert", "folder", "again.gguf")
        assert tools.read("again.gguf") == tools.read(model), model
        tools.run("convert", "folder/", "folder2/")
        for name in FOLDER:
            assert tools.read("folder2/" + name) == tools.read("folder/" + name), name
        kind = json.loads(tools.read("folder/config.json"))["architectures"]
        assert kind == ["BertForSequenceClassification" if model == "model.gguf" else
                        "DistilBertForSequenceClassification"]
        for name in FOLDER:
            (tools / "folder" / name).unlink()

    # Over an older file, through a link, into a folder that an export left.
    tools.write("old.gguf", "old")
    (tools / "link.gguf").symlink_to("old.gguf")
    tools.run("convert", "model.gguf", "link.gguf")
    assert tools.read("old.gguf") == tools.read("model.gguf") and (tools / "link.gguf").is_symlink()
    tools.run("convert", "distil.gguf", "folder2")
    tools.run("convert", "folder2", "again.gguf")
    assert tools.read("again.gguf") == tools.read("distil.gguf")


def check_folder(tools):
    """A folder as others write it: tokenizer.json for vocab.txt, another order of tensors, and
    position ids."""
    tools.make_model()
    tools.run("convert", "model.gguf", "folder")
    weights = load_file(tools / "folder" / "model.safetensors")
    weights = {name: weights[name] for name in sorted(weights, reverse=True)}
    weights["bert.embeddings.position_ids"] = np.arange(512, dtype=np.int64)[None]
    save_file(weights, tools / "folder" / "model.safetensors", metadata={"format": "pt"})
    (tools / "folder" / "vocab.txt").unlink()
    tools.write("folder/tokenizer.json", json.dumps(
        {"normalizer": {"type": "BertNormalizer", "lowercase": True},
         "model": {"type": "WordPiece", "vocab": {p: i for i, p in enumerate(PIECES)}}}))
    tools.run("convert", "folder", "again.gguf")
    assert same_tensors(read_tensors(tools / "again.gguf"), read_tensors(tools / "model.gguf"))
    names = read_keys(tools / "again.gguf")["tokenizer.ggml.tokens"]
    assert names == read_keys(tools / "model.gguf")["tokenizer.ggml.tokens"]


def check_collapse(tools):
    """W + s P2 P1 and nothing else: the base's tensors and cls*, in a file that gguf opens."""
    model = make_learner(tools)
    out, _ = tools.run("collapse", model, "plain.gguf")
    tuned, plain = read_tensors(tools / model), read_tensors(tools / "plain.gguf")
    base = read_tensors(tools / "model.gguf")
    assert plain.keys() == base.keys()
    count = sum(t.size for t in plain.values())
    assert out == (f"plain.gguf: BERT, 2 layers of width 128, {len(PIECES)} pieces, {count:,} "
                   "parameters\n"), out
    folded = 0
    for name, w in plain.items():
        if name + ".lora_a" not in tuned:
            assert w.tobytes() == tuned[name].tobytes(), name
            continue
        a, b = (tuned[name + ".lora_" + k].astype(np.float64) for k in "ab")
        assert np.abs(w - (tuned[name] + 0.5 * b @ a)).max() < 1e-6, name
        assert np.abs(w - tuned[name]).max() > 1e-4, name
        folded += 1
    assert folded == 12
    keys = read_keys(tools / "plain.gguf")
    assert not any(key in keys for key in ("primer.method", "primer.size", "primer.scale"))
    assert keys["bert.classifier.output_labels"] == ["no", "yes"]

    texts = ["the cat is good", "a dog 7", "bad " * 30]
    answers = [[json.loads(line)["probabilities"]["yes"] for line in
                tools.run("predict", m, *texts, "--json")[0].splitlines()]
               for m in (model, "plain.gguf")]
    assert np.allclose(*answers, rtol=0, atol=1e-5), answers

    # A folder holds the same; a plain model stays as it is.
    tools.run("convert", model, "folder")
    tools.run("convert", "folder", "again.gguf")
    assert tools.read("again.gguf") == tools.read("plain.gguf")
    out, _ = tools.run("collapse", "plain.gguf", "same.gguf")
    assert out.startswith("plain.gguf is a plain model, with nothing to fold in: same.gguf is the "
                          "same\nsame.gguf: ")
    assert tools.read("same.gguf") == tools.read("plain.gguf")
    tools.run("collapse", "folder", "same.gguf")
    assert tools.read("same.gguf") == tools.read("plain.gguf")
    tools.tune("plain.gguf", *tools.make_data(), "--learner", 4, "--epochs", 1, "--quiet")


def listed(out):
    """The rows of inspect's table of tensors: name, type, shape, elements."""
    rows = re.findall(r"^(\S+) +(\w+) +\(([\d, ]+)\) +([\d,]+) +[\d.]+ \w+$", out, re.M)
    return [(name, kind, tuple(map(int, shape.split(", "))), int(n.replace(",", "")))
            for name, kind, shape, n in rows]


def check_inspect(tools):
    """Every key and tensor of a file, by the names that patterns match."""
    model = make_learner(tools)
    out, _ = tools.run("inspect", model)
    keys, tensors = read_keys(tools / model), read_tensors(tools / model)
    keys = {key: value for key, value in keys.items() if not key.startswith("GGUF.")}
    assert out.startswith(f"{model}: GGUF version 3, {len(keys)} keys, {len(tensors)} tensors\n")
    for key in keys:
        assert re.search(rf"^{re.escape(key)} ", out, re.M), key
    for line in (r"bert\.block_count +u32 +2", r'primer\.method +text +"learner"',
                 r"primer\.scale +f32 +0\.5", r"bert\.attention\.causal +boolean +false",
                 r'bert\.classifier\.output_labels +text\[2\] +"no", "yes"',
                 r'tokenizer\.ggml\.tokens +text\[\d+\] +"\[PAD\]", "\[UNK\]", "\[CLS\]", '
                 r'"\[SEP\]", \.\.\.'):
        assert re.search(rf"^{line}$", out, re.M), line
    assert listed(out) == [(name, "f32", t.shape, t.size) for name, t in tensors.items()]
    count = sum(t.size for t in tensors.values())
    assert re.search(rf"\n{len(tensors)} tensors, {count:,} parameters, [\d.]+ MB\n$", out), out

    pattern = "blk.*.attn_[qk].weight"
    out, _ = tools.run("inspect", model, "--match", pattern)
    assert [row[0] for row in listed(out)] == [n for n in tensors if fnmatch.fnmatch(n, pattern)]
    assert "bert.block_count" not in out
    tools.wrong("inspect", model, "--match", "zzz", says="no tensor's name matches 'zzz'")

    tools.run("convert", "model.gguf", "folder")
    out, _ = tools.run("inspect", "folder")
    assert out.startswith("folder: BERT, 2 layers, width 128, 2 heads, feed-forward 512, "), out
    base = read_tensors(tools / "model.gguf")
    assert sorted(listed(out)) == sorted((n, "f32", t.shape, t.size) for n, t in base.items())


def check_others(tools):
    """inspect shows files of any architecture and type, and keys that would upset a terminal."""
    keys = [("general.architecture", TEXT, text_bytes("llama")),
            ("x.text", TEXT, text_bytes('a\n\033[2J"\\')), ("x.long", TEXT, text_bytes("é" * 99))]
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(keys))
    head += b"".join(text_bytes(n) + struct.pack("<I", k) + payload for n, k, payload in keys)
    head += text_bytes("output.weight") + struct.pack("<IQQIQ", 2, 64, 2, 8, 0)  # q8_0
    tools.write("llama.gguf", head + bytes(-len(head) % 32) + bytes(4 * 34))
    out, _ = tools.run("inspect", "llama.gguf")
    assert listed(out) == [("output.weight", "q8_0", (2, 64), 128)], out
    assert r'"a\x0a\x1b[2J\x22\x5c"' in out and '"' + "é" * 30 + '..."' in out, out
    assert "\033" not in out
    tools.fails("predict", "llama.gguf", "a", says="expected a model of architecture 'bert', found "
                "'llama'")


def check_graph(tools):
    """--graph writes DOT that holds together: every edge joins nodes that are declared once."""
    for model, learners in (make_learner(tools), 12), ("model.gguf", 0):
        out, _ = tools.run("inspect", model, "--graph")
        bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', out)
        assert bare.count("{") == bare.count("}") and bare.count("[") == bare.count("]")
        assert out.startswith("digraph primer {\n") and out.endswith("}\n")
        names = re.findall(r"^ +([tn]\d+) \[", out, re.M)
        edges = re.findall(r"^ +([tn]\d+) -> (n\d+) \[", out, re.M)
        assert len(names) == len(set(names)) and edges
        assert {end for edge in edges for end in edge} <= set(names)
        assert {to for _, to in edges} == {name for name in names if name[0] == "n"}
        statements = bare.count(";")
        assert statements == 1 + bare.count('label="";') + len(names) + len(edges), statements
        for name in read_tensors(tools / model):
            assert out.count(f'label="{name}\\n') == 1, name
        assert out.count(".lora_a\\n") == learners


def check_same_tensors(tools):
    """PyPI's gguf and safetensors read from both forms what was written."""
    model = make_learner(tools, "--collapse")
    tools.run("convert", model, "folder")
    tools.run("convert", "folder", "again.gguf")
    assert same_tensors(read_tensors(tools / model), read_tensors(tools / "again.gguf"))
    weights = load_file(tools / "folder" / "model.safetensors")
    found = sorted(w.tobytes() for w in weights.values())
    assert found == sorted(t.tobytes() for t in read_tensors(tools / model).values())
    config = json.loads(tools.read("folder/config.json"))
    assert config["id2label"] == {"0": "no", "1": "yes"}


run_checks(globals())
