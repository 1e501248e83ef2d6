"""Hostile model files, vocabularies and checkpoints: one clear line, nothing left behind. Usage:
check_bad_models.py PROGRAMS, the folder of finetune and its sisters."""

import json
import os
import random
import re
import struct

from tools_harness import (ARRAY, BOOL, F32, I32, PIECES, RUN_FAST, TEXT, U32, Parts,
                           run_checks, text_bytes, texts_bytes)

W = "blk.0.attn_q.weight"
N, CAT, DOG = len(PIECES), PIECES.index("cat"), PIECES.index("dog")
LINE = N + 1  # of vocab.txt, when one is added


def u32(value):
    return U32, struct.pack("<I", value)


def key(name, value):
    return lambda parts: parts.keys.update({name: value})


def no_key(name):
    return lambda parts: parts.keys.pop(name)


def dims(name, *shape):
    """Says another shape, in the file's order, innermost first."""
    def change(parts):
        parts.tensor(name)[1] = shape
    return change


def kind(name, number):
    def change(parts):
        parts.tensor(name)[2] = number
    return change


def value(name, at, number):
    """Puts a float at a place of a tensor."""
    def change(parts):
        data = bytearray(parts.tensor(name)[3])
        struct.pack_into("<f", data, 4 * at, number)
        parts.tensor(name)[3] = bytes(data)
    return change


def vocabulary(change):
    """Changes the list of pieces, in GGUF's spelling."""
    def change_parts(parts):
        pieces = parts.pieces()
        change(pieces)
        parts.keys["tokenizer.ggml.tokens"] = ARRAY, texts_bytes(pieces)
        parts.keys.pop("tokenizer.ggml.token_type")
    return change_parts


def rename(old, new):
    def change(pieces):
        pieces[pieces.index(old)] = new
    return vocabulary(change)


PARTS = [
    (lambda p: p.tensors.remove(p.tensor(W)), f"bad.gguf: tensor '{W}' is missing"),
    (lambda p: p.tensors.append(p.tensor(W)), f"bad.gguf: tensor '{W}' is there twice"),
    (lambda p: p.tensors.append(["blk.9.attn_q.weight", *p.tensor(W)[1:]]),
     "bad.gguf: tensor 'blk.9.attn_q.weight' has no place in a BERT"),
    (dims(W, 64, 256), f"bad.gguf: tensor '{W}': expected shape (128, 128), found (256, 64)"),
    (dims(W, 128), f"bad.gguf: tensor '{W}': expected shape (128, 128), found (128)"),
    (dims(W, 1, 1, 1, 1, 1, 1), f"bad.gguf: tensor '{W}' has 6 dimensions, expected 1 to 4"),
    (dims(W), f"bad.gguf: tensor '{W}' has 0 dimensions, expected 1 to 4"),
    (dims(W, 0, 128), f"bad.gguf: tensor '{W}' has a dimension of 0"),
    (dims(W, 1 << 63, 2), f"bad.gguf: tensor '{W}' has a dimension of 9223372036854775808"),
    (dims(W, 1 << 40, 1 << 40), f"bad.gguf: tensor '{W}': the product of its dimensions overflows"),
    (dims("cls.output.weight", 128, 1 << 40), "bad.gguf: tensor 'cls.output.weight' takes"),
    (kind(W, 99), f"bad.gguf: tensor '{W}' is of unknown type 99"),
    (kind(W, 4), f"bad.gguf: tensor '{W}' is of unknown type 4"),
    (kind(W, 8), f"bad.gguf: tensor '{W}' is of type q8_0; weights must be f32, f16 or bf16"),
    (value(W, 257, float("nan")), f"bad.gguf: tensor '{W}': [2, 1] is nan; weights must be finite"),
    (value("blk.1.ffn_down.bias", 3, float("-inf")),
     "bad.gguf: tensor 'blk.1.ffn_down.bias': [3] is -inf; weights must be finite"),
    (no_key("general.architecture"), "bad.gguf: key 'general.architecture' is missing"),
    (key("general.architecture", (TEXT, text_bytes("llama\n\033[2J"))),
     "expected a model of architecture 'bert', found 'llama?"),
    (no_key("bert.block_count"), "bad.gguf: key 'bert.block_count' is missing, expected an integer"),
    (key("bert.block_count", (TEXT, text_bytes("2"))),
     "bad.gguf: key 'bert.block_count' is of type text, expected an integer"),
    (key("bert.block_count", u32(0)), "bad.gguf: key 'bert.block_count' is 0, expected 1 to"),
    (key("bert.block_count", u32(3)), "bad.gguf: tensor 'blk.2.attn_q.weight' is missing"),
    (key("bert.block_count", u32(1)), "bad.gguf: tensor 'blk.1.attn_q.weight' has no place"),
    (key("bert.block_count", u32(1 << 30)), "bad.gguf: model: layers: expected 1 to 1000, found"),
    (key("bert.attention.head_count", u32(3)),
     "bad.gguf: model: width 128 is no multiple of its 3 heads"),
    (key("bert.embedding_length", u32(64)),
     f"bad.gguf: tensor 'token_embd.weight': expected shape ({N}, 64), found ({N}, 128)"),
    (key("bert.attention.layer_norm_epsilon", (F32, struct.pack("<f", float("nan")))),
     "bad.gguf: key 'bert.attention.layer_norm_epsilon' is nan, expected a finite number"),
    (key("primer.dropout", (F32, struct.pack("<f", 1.5))),
     "bad.gguf: model: dropout: expected 0 to under 1, found 1.5"),
    (key("primer.method", (TEXT, text_bytes("magic"))), "bad.gguf: unknown method 'magic'"),
    (key("primer.method", (TEXT, text_bytes("learner"))),
     "bad.gguf: learner: expected a rank of 1 to 256, found 0"),
    (lambda p: (key("primer.method", (TEXT, text_bytes("learner")))(p),
                key("primer.size", u32(4))(p)),
     f"bad.gguf: tensor '{W}.lora_a' of the method 'learner' is missing"),
    (key("bert.attention.causal", (BOOL, b"\7")), "a boolean is 7, expected 0 or 1"),
    (key("general.alignment", u32(3)), "bad.gguf: general.alignment is 3, not a power of two"),
    (key("bert.classifier.output_labels", (ARRAY, texts_bytes(["a"]))),
     "bad.gguf: expected names of 2 labels, one for each output of the head, found 1"),
    (key("bert.classifier.output_labels", (ARRAY, texts_bytes(["a", "a"]))),
     "bad.gguf: the label 'a' is named twice"),
    (key("x", (77, b"")), "bad.gguf: key 'x' is of unknown type 77"),
    (no_key("tokenizer.ggml.tokens"), "bad.gguf: key 'tokenizer.ggml.tokens' is missing"),
    (key("tokenizer.ggml.tokens", (ARRAY, struct.pack("<IQ", I32, 2) + bytes(8))),
     "bad.gguf: key 'tokenizer.ggml.tokens' is of type i32, expected an array of texts"),
    (key("tokenizer.ggml.tokens", (ARRAY, struct.pack("<IQ", TEXT, 1 << 60))),
     "bad.gguf: tokenizer.ggml.tokens: there are said to be 1152921504606846976, which the"),
    (vocabulary(lambda p: p.pop()),
     f"bad.gguf: the vocabulary has {N - 1} pieces, and token_embd.weight {N} rows"),
    (vocabulary(lambda p: p.append("more")),
     f"bad.gguf: the vocabulary has {N + 1} pieces, and token_embd.weight {N} rows"),
    (rename("[CLS]", "[XYZ]"), f"bad.gguf: vocabulary: none of the {N} pieces is [CLS]"),
    (rename("[UNK]", "[XYZ]"), f"bad.gguf: vocabulary: none of the {N} pieces is [UNK]"),
    (rename("▁cat", "▁dog"), f"bad.gguf: vocabulary: ids {CAT} and {DOG} have the same piece 'dog'"),
    (rename("▁cat", b"\xff\xfe"), f"bad.gguf: vocabulary: piece {CAT} is empty, or no valid UTF-8"),
    (key("tokenizer.ggml.token_type", (ARRAY, struct.pack("<IQ", I32, 1) + bytes(4))),
     f"bad.gguf: tokenizer.ggml.token_type: expected one for each of {N} pieces, found 1"),
]


def check_parts(tools):
    """A GGUF file that contradicts itself, or that is no model of ours."""
    good = tools.read(tools.make_model())
    data = tools.make_data()
    others = [["predict", "bad.gguf", "a"], ["collapse", "bad.gguf", "out.gguf"],
              ["evaluate", "bad.gguf", *data[2:]], ["inspect", "bad.gguf", "--graph"],
              ["finetune", "bad.gguf", *data]]
    for i, (change, says) in enumerate(PARTS):
        parts = Parts(good)
        change(parts)
        tools.write("bad.gguf", parts.bytes())
        tools.fails("convert", "bad.gguf", "out.gguf", says=says)
        if "same piece" not in says:  # only what reads texts looks for this
            tools.fails(*others[i % len(others)], says=says)


def check_bytes(tools):
    """A GGUF file cut anywhere, or lying about a length."""
    good = tools.read(tools.make_model())
    n_tensors, n_keys = struct.unpack_from("<QQ", good, 8)
    assert (n_tensors, n_keys) == (41, 24)
    for at, lie, says in (
            (0, b"GGUP", "bad.gguf: not a GGUF file: it does not begin with 'GGUF'"),
            (4, struct.pack("<I", 99), "bad.gguf: GGUF version 99"),
            (4, struct.pack(">I", 3), "bad.gguf: "),
            (8, struct.pack("<Q", 1 << 62), "there are said to be 4611686018427387904"),
            (8, struct.pack("<Q", 42), "bad.gguf: "),
            (16, struct.pack("<Q", (1 << 64) - 1), "there are said to be 18446744073709551615"),
            (16, struct.pack("<Q", 25), "bad.gguf: "),
            (24, struct.pack("<Q", 1 << 63), "cut short or a length in it is wrong"),
            (24, struct.pack("<Q", 0), "bad.gguf: "),
            (32, b"\0", "bad.gguf: the name of a key has a NUL inside"),
            (32, b"\n", "bad.gguf: the name of a key is empty, too long or has a control")):
        tools.write("bad.gguf", good[:at] + lie + good[at + len(lie):])
        for program in ["inspect", "bad.gguf"], ["convert", "bad.gguf", "out.gguf"]:
            tools.fails(*program, says=says)
    for size in [1, 3, 4, 8, 23, 24, *range(100, 4000, 311), len(good) // 2,
                 len(good) - 32]:  # the last tensor's 8 bytes are padded to 32
        tools.write("bad.gguf", good[:size])
        tools.fails("inspect", "bad.gguf", says="bad.gguf: ")
    tools.write("bad.gguf", "")
    tools.fails("predict", "bad.gguf", "a", says="bad.gguf: the file is empty")


def check_noise(tools):
    """Bytes of the head changed at random: an answer or one line, never a crash."""
    good = tools.read(tools.make_model())
    draw = random.Random(7)
    for _ in range(60):
        bad = bytearray(good)
        for _ in range(draw.choice([1, 1, 2, 8])):
            bad[draw.randrange(6000)] = draw.randrange(256)
        tools.write("bad.gguf", bytes(bad))
        tools.survives("predict", "bad.gguf", "the cat")


def write_folder(tools):
    tools.make_model()
    tools.run("convert", "model.gguf", "good")
    for name in "config.json", "vocab.txt", "tokenizer_config.json", "model.safetensors":
        tools.write("bad/" + name, tools.read("good/" + name))
    data = tools.read("good/model.safetensors")
    n = struct.unpack_from("<Q", data)[0]
    return json.loads(data[8:8 + n]), data[8 + n:]


def check_folder(tools):
    """A Hugging Face folder with a file missing, broken, or not fitting the others."""
    write_folder(tools)
    config = json.loads(tools.read("good/config.json"))
    pieces = "".join(piece + "\n" for piece in PIECES)
    tokenizer = {"model": {"type": "WordPiece", "vocab": {p: i for i, p in enumerate(PIECES)}}}
    for name, content, says in (
            ("config.json", None, "bad/config.json: No such file or directory"),
            ("config.json", "", "bad/config.json: the file is empty"),
            ("config.json", "{", "bad/config.json: no valid JSON in line 1, column "),
            ("config.json", "[]", "bad/config.json: "),
            ("config.json", '{"a": 1, "a": 2}', "bad/config.json: no valid JSON in line 1, column "),
            ("config.json", {**config, "model_type": "gpt2"}, ["bad/config.json: ", "'gpt2'"]),
            ("config.json", {**config, "hidden_size": "128"}, ["bad/config.json: ", "hidden_size"]),
            ("config.json", {**config, "hidden_size": 1 << 40}, "bad/config.json: "),
            ("config.json", {**config, "num_attention_heads": 3}, "no multiple of its 3 heads"),
            ("config.json", {**config, "hidden_act": "relu"}, ["bad/config.json: ", "'relu'"]),
            ("config.json", {**config, "num_hidden_layers": 3},
             "bad/model.safetensors: tensor 'bert.encoder.layer.2.attention.self.query.weight' is "
             "missing"),
            ("vocab.txt", None, "bad: neither vocab.txt nor tokenizer.json is there"),
            ("vocab.txt", pieces + "more\n", f"the vocabulary has {N + 1} pieces, and"),
            ("vocab.txt", pieces.replace("[CLS]", "x"), "bad/vocab.txt: vocabulary: none of the"),
            ("vocab.txt", pieces.replace("cat\n", "\n"), f"bad/vocab.txt:{CAT + 1}: an empty line; expected a piece"),
            ("vocab.txt", pieces.replace("cat", "c\0t").encode(), f"bad/vocab.txt:{CAT + 1}: byte 2"),
            ("vocab.txt", pieces.encode().replace(b"cat", b"c\xffat"), f"bad/vocab.txt:{CAT + 1}: byte 2"),
            ("vocab.txt", pieces.replace("cat", "dog"), f"bad: vocabulary: ids {CAT} and {DOG} have"),
            ("tokenizer_config.json", '{"do_lower_case": false}',
             "bad/tokenizer_config.json: 'do_lower_case' is false"),
            ("tokenizer.json", {"model": {"type": "BPE", "vocab": {}}}, "is not WordPiece"),
            ("tokenizer.json", {**tokenizer, "normalizer": {"lowercase": False}},
             "bad/tokenizer.json: a cased tokenizer"),
            ("tokenizer.json", {"model": {"vocab": {"a": 0, "b": 7}}}, "the id of 'b' is no"),
            ("model.safetensors", None, "bad/model.safetensors: No such file or directory")):
        kept = {p.name: p.read_bytes() for p in (tools / "bad").iterdir()}
        if name == "tokenizer.json":
            os.remove(tools / "bad" / "vocab.txt")
        if content is None:
            os.remove(tools / "bad" / name)
        else:
            tools.write("bad/" + name, json.dumps(content) if isinstance(content, dict) else content)
        tools.fails("convert", "bad", "out.gguf", says=says)
        (tools / "bad" / "tokenizer.json").unlink(missing_ok=True)
        for kept_name, data in kept.items():
            tools.write("bad/" + kept_name, data)
    tools.run("convert", "bad", "out.gguf")


def check_safetensors(tools):
    """model.safetensors, whose head is JSON with the place of every tensor."""
    head, data = write_folder(tools)
    name = "bert.encoder.layer.0.attention.self.query.weight"

    def write(head, data=data, size=None):
        text = head if isinstance(head, bytes) else json.dumps(head).encode()
        tools.write("bad/model.safetensors", 
                    struct.pack("<Q", len(text) if size is None else size) + text + data)

    def fails(says):
        tools.fails("predict", "bad", "a", says=[*([says] if isinstance(says, str) else says),
                                                 "bad/model.safetensors"])
    write(head)
    tools.run("predict", "bad", "a")
    begin, end = head[name]["data_offsets"]
    for change, says in (
            ({"shape": [64, 256]}, "expected shape (128, 128), found (64, 256)"),
            ({"shape": [1 << 40, 1 << 40]}, name), ({"shape": [-1, 128]}, name),
            ({"shape": "x"}, name), ({"dtype": "I64"}, name), ({"dtype": "F4"}, [name, "F4"]),
            ({"data_offsets": [begin, len(data) + 4]}, name),
            ({"data_offsets": [begin + 4, end + 4]}, ""), ({"data_offsets": [end, begin]}, name),
            ({"data_offsets": [0, 1 << 62]}, name), ({"data_offsets": [begin]}, name)):
        write({**head, name: {**head[name], **change}})
        fails([*([says] if isinstance(says, str) else says)])
    write({key: value for key, value in head.items() if key != name})
    fails(f"tensor '{name}' is missing")
    spare = dict(head, strange=head[name])
    write(spare)
    fails("")
    write(head, data[:-4])
    fails("")
    write(head, struct.pack("<f", float("nan")) + data[4:])
    fails("is nan; weights must be finite")
    for size in 0, 1 << 63, (1 << 64) - 1, 100_000_001, 10:
        write(head, size=size)
        fails("")
    for text in b"", b"[]", b"{" + b'"a":{' * 3000, b'{"\xff": 1}', b"null":
        write(text)
        fails("")
    text = json.dumps(head).encode()
    write(text[:-1] + b"," + text[1:])
    fails("")
    whole = tools.read("good/model.safetensors")
    for size in 1, 7, 8, 100, len(whole) - len(data), len(whole) - 1:
        tools.write("bad/model.safetensors", whole[:size])
        fails("")


def check_vocabulary(tools):
    """A vocabulary for a model with random weights."""
    pieces = "".join(piece + "\n" for piece in PIECES)
    for content, says in (
            ("", "v.txt: the file is empty"), ("cat\ndog\n", "v.txt: vocabulary: none of the 2"),
            (pieces + "\n\n", f"v.txt:{LINE}: an empty line; expected a piece"),
            (pieces + "cat\n", f"v.txt: vocabulary: ids {CAT} and {N} have the same piece 'cat'"),
            (pieces.encode() + b"\xe9\n", f"v.txt:{LINE}: byte 1 of the line (0xE9) is no valid UTF-8"),
            (pieces.encode() + b"a\0b\n", f"v.txt:{LINE}: byte 2 of the line (0x00) is a NUL")):
        tools.write("v.txt", content)
        for out in "out.gguf", "folder":
            tools.fails("convert", "--random", "tiny", "--vocab", "v.txt", out, says=says)
    tools.fails("convert", "--random", "tiny", "--vocab", ".", "out.gguf", says="Is a directory")
    tools.write("v.json", '{"model": {"vocab": {"a": 0}')
    tools.fails("convert", "--random", "tiny", "--vocab", "v.json", "out.gguf", says="v.json:1: ")


def check_checkpoint(tools):
    """A checkpoint of the right run whose content is not right."""
    data = [tools.make_model(), *tools.make_data(), *RUN_FAST, "--learner", 4]
    tools.tune(*data, "--steps", 2, "--checkpoint", "good.gguf", "--out", "part.gguf")
    good = tools.read("good.gguf")
    step = "primer.checkpoint.step"
    for change, says in (
            (lambda p: p.tensors.remove(p.tensor(W)), f"c: tensor '{W}' is missing"),
            (lambda p: p.tensors.remove(p.tensor(W + ".second")), f"'{W}.second' is missing"),
            (dims(W + ".first", 64, 256), f"c: tensor '{W}.first' has not the shape or type"),
            (value(W, 0, float("nan")), f"c: tensor '{W}': [0, 0] is nan; weights must be finite"),
            (value(W + ".second", 1, float("inf")), f"c: tensor '{W}.second': [0, 1] is inf"),
            (key(step, u32(99)), f"c: key '{step}' is 99, expected 0 to"),
            (no_key(step), f"c: key '{step}' is missing"),
            (key("primer.checkpoint.epoch_loss", (TEXT, text_bytes("nan"))),
             "c: primer.checkpoint.epoch_loss: expected a finite number, found 'nan'"),
            (key("primer.checkpoint.since", (ARRAY, struct.pack("<IQ", I32, 0))),
             "c: primer.checkpoint.since does not fit the tensors"),
            (key("primer.checkpoint.since", (ARRAY, struct.pack("<IQ", I32, 200)
                                             + struct.pack("<i", -1) * 200)),
             "c: primer.checkpoint.since does not fit the tensors"),
            (key("primer.checkpoint.sparse", (ARRAY, texts_bytes(["x"]))),
             "c: 'x' is no parameter of the model"),
            (no_key("primer.checkpoint.seed"), "c: key 'primer.checkpoint.seed' is missing")):
        parts = Parts(good)
        change(parts)
        tools.write("c", parts.bytes())
        tools.fails("finetune", *data, "--resume", "c", says=says)
    for size in 0, 10, 1000, len(good) - 1:
        tools.write("c", good[:size])
        tools.fails("finetune", *data, "--resume", "c", says="c: ")
    tools.fails("finetune", *data, "--resume", "model.gguf",
                says="model.gguf: expected a checkpoint, found a file of architecture 'bert'")
    tools.fails("finetune", *data, "--resume", "train.tsv.gz", says="No such file or directory")
    tools.fails("finetune", "good.gguf", *data[1:], says="found 'primer-checkpoint'")


def check_blow_up(tools):
    """Numbers that stop being finite: the step, and the first node that went wrong."""
    parts = Parts(tools.read(tools.make_model()))
    wide = parts.tensor("blk.1.ffn_down.weight")
    wide[3] = struct.pack("<f", 3e38) * (len(wide[3]) // 4)
    tools.write("huge.gguf", parts.bytes())
    data = tools.make_data()
    says = "step 1: matmul 'blk.1.ffn_down/first/matmul' is the first to compute infinity (element "
    tools.fails("finetune", "huge.gguf", *data, says=says)
    says = "matmul 'blk.1.ffn_down/first/matmul' is the first to compute infinity (element "
    tools.fails("predict", "huge.gguf", "a", says="predict: " + says)
    tools.fails("evaluate", "huge.gguf", *data[2:], says="evaluate: " + says)

    # Every step multiplies the weights by 99, or nearly. The dev set may be the first to suffer.
    blow_up = ["--lr", 10, "--weight-decay", 10, "--clip", 0, "--epochs", 20]
    for files, when in (data[:2] + data[4:], "step"), (data, "(after )?step"):
        err = tools.fails("finetune", "model.gguf", *files, *blow_up, says="is the first to compute")
        assert re.match(rf"finetune: {when} \d+: \w+ '[\w/.]+' is the first to compute "
                        r"(NaN|infinity) \(element \d+\)\n$", err), err


run_checks(globals())
