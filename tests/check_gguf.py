"""Model files against the packages that others read and write them with: PyPI's gguf and
safetensors. Usage: check_gguf.py CONVERT, the program tools/convert."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

try:
    import gguf
    import numpy as np
    from safetensors.numpy import load_file, save_file
except ImportError as fault:
    sys.exit(f"{fault}: run tests/run, which prepares a Python with gguf, numpy and safetensors "
             "in build/venv, or give one to CMake with -DPR_PYTHON=...")

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "##s", "café", "[", "##"]
SPELT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "▁the", "s", "▁café", "▁["]
BERT = [("embeddings.word_embeddings", "token_embd"),
        ("embeddings.position_embeddings", "position_embd"),
        ("embeddings.token_type_embeddings", "token_types"),
        ("embeddings.LayerNorm", "token_embd_norm"),
        (r"encoder.layer.(\d+).attention.self.query", r"blk.\1.attn_q"),
        (r"encoder.layer.(\d+).attention.self.key", r"blk.\1.attn_k"),
        (r"encoder.layer.(\d+).attention.self.value", r"blk.\1.attn_v"),
        (r"encoder.layer.(\d+).attention.output.dense", r"blk.\1.attn_output"),
        (r"encoder.layer.(\d+).attention.output.LayerNorm", r"blk.\1.attn_output_norm"),
        (r"encoder.layer.(\d+).intermediate.dense", r"blk.\1.ffn_up"),
        (r"encoder.layer.(\d+).output.dense", r"blk.\1.ffn_down"),
        (r"encoder.layer.(\d+).output.LayerNorm", r"blk.\1.layer_output_norm"),
        ("pooler.dense", "cls"),
        ("classifier", "cls.output")]


def convert(*arguments):
    subprocess.run([sys.argv[1], *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def gguf_name(name):
    stem, last = name.removeprefix("bert.").rsplit(".", 1)
    for pattern, to in BERT:
        if re.fullmatch(pattern, stem):
            return re.sub(pattern, to, stem) + "." + last
    raise AssertionError(f"a name that BERT does not have: {name}")


def read_gguf(path):
    """Keys, and tensors in PyTorch's order of dimensions."""
    reader = gguf.GGUFReader(path)
    keys = {name: field.contents() for name, field in reader.fields.items()}
    return keys, {t.name: t.data.reshape(t.shape[::-1]) for t in reader.tensors}


def assert_same(found, expected):
    assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
    for name in expected:
        assert found[name].dtype == np.float32, name
        assert found[name].shape == expected[name].shape, name
        assert found[name].tobytes() == expected[name].tobytes(), name


def check_keys(keys):
    expected = {"GGUF.version": 3, "general.architecture": "bert", "general.file_type": 0,
                "bert.block_count": 2, "bert.context_length": 512, "bert.embedding_length": 128,
                "bert.feed_forward_length": 512, "bert.attention.head_count": 2,
                "bert.attention.causal": False, "tokenizer.ggml.model": "bert",
                "tokenizer.ggml.cls_token_id": 2, "tokenizer.ggml.seperator_token_id": 3,
                "tokenizer.ggml.padding_token_id": 0, "tokenizer.ggml.mask_token_id": 4,
                "tokenizer.ggml.unknown_token_id": 1,
                "tokenizer.ggml.token_type": [3] * 5 + [1] * (len(PIECES) - 5)}
    for key, value in expected.items():
        assert keys[key] == value, (key, keys[key])
    assert np.float32(keys["bert.attention.layer_norm_epsilon"]) == np.float32(1e-12)
    assert keys["tokenizer.ggml.tokens"][:len(SPELT)] == SPELT


def rewrite(keys, tensors, path, kind):
    """The model as gguf's own writer makes it, with its matrices as f16 or bf16. Returns what a
    reader must make of them."""
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_custom_alignment(64)
    for name, value in keys.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        if isinstance(value, list):
            writer.add_array(name, value)
        elif isinstance(value, bool):
            writer.add_bool(name, value)
        elif isinstance(value, int):
            writer.add_uint64(name, value)
        elif isinstance(value, float):
            writer.add_float64(name, value)
        else:
            writer.add_string(name, value)
    expected = {}
    for name, value in tensors.items():
        if value.ndim == 1:
            writer.add_tensor(name, value)
            expected[name] = value
            continue
        stored = gguf.quants.quantize(value, kind)
        writer.add_tensor(name, stored, raw_dtype=kind)
        expected[name] = gguf.quants.dequantize(stored, kind).astype(np.float32)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return expected


def check(folder):
    (folder / "vocab.txt").write_text("".join(piece + "\n" for piece in PIECES))
    convert("--random", "tiny", "--vocab", folder / "vocab.txt", folder / "a.gguf")
    keys, tensors = read_gguf(folder / "a.gguf")
    check_keys(keys)
    assert tensors["token_embd.weight"].shape == (len(PIECES), 128)
    assert tensors["blk.1.ffn_up.weight"].shape == (512, 128)

    convert(folder / "a.gguf", folder / "model")
    weights = load_file(folder / "model" / "model.safetensors")
    assert_same({gguf_name(name): value for name, value in weights.items()}, tensors)
    assert (folder / "model" / "vocab.txt").read_text().split("\n")[:-1] == PIECES
    config = json.loads((folder / "model" / "config.json").read_text())
    assert config["layer_norm_eps"] == 1e-12 and config["hidden_dropout_prob"] == 0.1

    for kind in gguf.GGMLQuantizationType.F16, gguf.GGMLQuantizationType.BF16:
        expected = rewrite(keys, tensors, folder / "b.gguf", kind)
        convert(folder / "b.gguf", folder / "c.gguf")
        assert_same(read_gguf(folder / "c.gguf")[1], expected)

    halves = {name: value.astype(np.float16) for name, value in weights.items()}
    halves["bert.embeddings.position_ids"] = np.arange(512, dtype=np.int64)[None]
    save_file(halves, folder / "model" / "model.safetensors", metadata={"format": "pt"})
    convert(folder / "model", folder / "d.gguf")
    expected = {gguf_name(name): value.astype(np.float32)
                for name, value in halves.items() if not name.endswith("position_ids")}
    assert_same(read_gguf(folder / "d.gguf")[1], expected)


with tempfile.TemporaryDirectory() as name:
    check(pathlib.Path(name))
