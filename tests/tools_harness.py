"""What the checks of the programs share: running them as processes, small models and texts, and
model files taken apart. A check is a function whose name begins with check_; run_checks calls each
with the programs in a fresh folder of its own."""

import fcntl
import os
import pathlib
import pty
import random
import re
import struct
import subprocess
import sys
import tempfile
import termios
import traceback

MISSING = ("run tests/run, which prepares a Python with gguf, numpy and safetensors in build/venv, "
           "or give one to CMake with -DPR_PYTHON=...")
try:
    import numpy as np
except ImportError as fault:
    sys.exit(f"{fault}: {MISSING}")

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ["the", "cat", "dog", "mat", "is", "very", "good", "bad", "sat", "on"]
PIECES = (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + list(LETTERS) + list("0123456789")
          + ["##" + letter for letter in LETTERS] + WORDS + list(".,!?'\"|"))
COLUMNS = ["--text", "sentence", "--label", "label"]
# What a program's JSON line tells of its time and memory, in this order.
TIMING = ["steps", "median_step_s", "real_tokens_per_s", "mean_tokens", "mean_flops", "mean_bytes",
          "planned_bytes", "weights_bytes", "lower_bound_bytes", "peak_rss_gb", "first_step_s", "wall_s"]
RUN_FAST = ["--lr", "1e-3", "--epochs", "2"]
TIMEOUT = 120

# BLAS starts no threads of its own: a signal then meets the one that a run of one thread has. A GPU,
# where there is one, stays out of sight of programs that are tested on the processor.
ENVIRONMENT = dict(os.environ, OPENBLAS_NUM_THREADS="1", LC_ALL="C", CUDA_VISIBLE_DEVICES="")


def show_gpus():
    """GPUs as whoever runs the script sees them: what it checks is for them."""
    del ENVIRONMENT["CUDA_VISIBLE_DEVICES"]
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        ENVIRONMENT["CUDA_VISIBLE_DEVICES"] = os.environ["CUDA_VISIBLE_DEVICES"]


class Tools:
    """The programs, and the folder they run in."""

    def __init__(self, programs, folder):
        self.programs = pathlib.Path(programs).resolve()
        self.folder = folder

    def __truediv__(self, name):
        return self.folder / name

    def command(self, program, arguments):
        return [str(self.programs / program),
                *(a if isinstance(a, bytes) else str(a) for a in arguments)]

    def run(self, program, *arguments, code=0, text_in="", **more):
        """Runs a program; it must end with the code and without an error unless told so."""
        if isinstance(text_in, str):
            text_in = text_in.encode()
        more.setdefault("env", ENVIRONMENT)
        more.setdefault("stdout", subprocess.PIPE)
        done = subprocess.run(self.command(program, arguments), input=text_in, cwd=self.folder,
                              stderr=subprocess.PIPE, timeout=TIMEOUT, check=False, **more)
        out = (done.stdout or b"").decode()
        err = done.stderr.decode()
        shown = " ".join(map(str, arguments))
        assert done.returncode == code, (
            f"{program} {shown}: ended with {done.returncode}, not {code}\n{out}{err}")
        return out, err

    def fails(self, program, *arguments, says, code=1, **more):
        """Runs a program that must print one line on stderr, with these words in it, and leave the
        folder as it was."""
        before = self.snapshot()
        _, err = self.run(program, *arguments, code=code, **more)
        self.check_message(program, err)
        for words in [says] if isinstance(says, str) else says:
            assert words in err, f"expected '{words}' in: {err}"
        assert self.snapshot() == before, (
            f"{program} changed files: {set(self.snapshot().items()) ^ set(before.items())}")
        return err

    @staticmethod
    def check_message(program, err):
        lines = err.split("\n")
        assert len(lines) == 2 and lines[1] == "", f"{program} printed more than a line:\n{err}"
        assert err.startswith(program + ": "), err
        assert len(lines[0]) > len(program) + 8 and lines[0].isprintable(), repr(err)

    def wrong(self, program, *arguments, says, **more):
        return self.fails(program, *arguments, says=says, code=2, **more)

    def snapshot(self):
        """Every file under the folder, with what changes when it is written."""
        found = {}
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = pathlib.Path(folder, name)
                info = path.lstat()
                found[str(path)] = (info.st_size, info.st_mtime_ns, info.st_ino)
        return found

    def survives(self, program, *arguments):
        """Runs a program that may end well, or with one line, and leaves the folder as it was."""
        before = self.snapshot()
        done = subprocess.run(self.command(program, arguments), cwd=self.folder, env=ENVIRONMENT,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT,
                              check=False)
        assert done.returncode in (0, 1), (done.returncode, done.stderr)
        if done.returncode:
            self.check_message(program, done.stderr.decode())
        assert self.snapshot() == before

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def read(self, name):
        return (self.folder / name).read_bytes()

    def make_model(self, name="model.gguf", kind="tiny", seed=0):
        """A model with random weights, which knows the words that the texts here are made of."""
        self.write("vocab.txt", "".join(piece + "\n" for piece in PIECES))
        self.run("convert", "--random", kind, "--vocab", "vocab.txt", "--seed", seed, name)
        return name

    def make_data(self, train=40, dev=12):
        """train.tsv and dev.tsv with columns sentence and label; returns finetune's options."""
        for name, n, seed in (("train.tsv", train, 1), ("dev.tsv", dev, 2)):
            self.write(name, "sentence\tlabel\n"
                       + "".join(f"{text}\t{label}\n" for text, label in make_rows(n, seed)))
        return ["--train-file", "train.tsv", "--dev-file", "dev.tsv", *COLUMNS]

    def tune(self, *arguments, **more):
        """finetune in one thread, for speed while much else runs."""
        return self.run("finetune", *arguments, "--threads", "1", **more)


def make_rows(n, seed):
    """n texts of a few words, which end in "good" and are labelled yes, or in "bad": no."""
    draw = random.Random(seed)
    rows = []
    for i in range(n):
        words = [draw.choice(WORDS) for _ in range(draw.randrange(2, 9))]
        rows.append((" ".join(words + ["good" if i % 2 else "bad"]), "yes" if i % 2 else "no"))
    return rows


def reader_of(path):
    try:
        import gguf
    except ImportError as fault:
        sys.exit(f"{fault}: {MISSING}")
    return gguf.GGUFReader(path)


def read_tensors(path):
    """The tensors of a model file as PyPI's gguf reads them, in PyTorch's order of dimensions."""
    return {t.name: t.data.reshape(t.shape[::-1]) for t in reader_of(path).tensors}


def read_keys(path):
    return {name: field.contents() for name, field in reader_of(path).fields.items()}


def same_tensors(a, b):
    return a.keys() == b.keys() and all(
        a[name].shape == b[name].shape and a[name].tobytes() == b[name].tobytes() for name in a)


# ---- terminals ----

def on_terminal(tools, columns, program, *arguments):
    """What a program shows on a terminal of so many columns."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    run = subprocess.Popen(tools.command(program, arguments), cwd=tools.folder, stdin=side,
                           stdout=side, stderr=side, env=ENVIRONMENT)
    os.close(side)
    shown = b""
    while True:
        try:
            piece = os.read(main, 4096)
        except OSError:  # how Linux tells that nobody has the terminal open any more
            break
        if not piece:
            break
        shown += piece
    os.close(main)
    assert run.wait() == 0, shown
    return shown.decode().replace("\r\n", "\n")


def screen(shown):
    """The lines that a terminal ends up with: a return goes back over a line, ESC [K clears the
    rest of it."""
    lines = [""]
    at = 0
    for piece in re.findall(r"\r|\n|\033\[K|[^\r\n\033]+", shown):
        if piece == "\r":
            at = 0
        elif piece == "\n":
            lines.append("")
            at = 0
        elif piece == "\033[K":
            lines[-1] = lines[-1][:at]
        else:
            lines[-1] = lines[-1][:at] + piece + lines[-1][at + len(piece):]
            at += len(piece)
    return lines


# ---- model files taken apart ----

U32, I32, F32, BOOL, TEXT, ARRAY, U64 = 4, 5, 6, 7, 8, 9, 10
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, U32: 4, I32: 4, F32: 4, BOOL: 1, U64: 8, 11: 8, 12: 8}


def text_bytes(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(data)) + data


def texts_bytes(texts):
    """The payload of a key that is an array of texts."""
    return struct.pack("<IQ", TEXT, len(texts)) + b"".join(map(text_bytes, texts))


class Parts:
    """A GGUF file's parts, to be changed and written again, sensibly or not."""

    def __init__(self, data):
        self.data, self.at = data, 8
        n_tensors, n_keys = self.take("<QQ")
        self.keys = {}  # name: (type, payload)
        for _ in range(n_keys):
            name = self.take_text()
            kind = self.take("<I")[0]
            begin = self.at
            self.skip(kind)
            self.keys[name] = (kind, data[begin:self.at])
        places = []
        for _ in range(n_tensors):
            name = self.take_text()
            dims = self.take("<" + "Q" * self.take("<I")[0])
            places.append((name, dims, *self.take("<IQ")))
        base = (self.at + 31) // 32 * 32
        self.tensors = []  # [name, dims, type, data]
        for name, dims, kind, offset in places:
            size = int(np.prod(dims)) * 4
            self.tensors.append([name, dims, kind, data[base + offset:base + offset + size]])

    def take(self, form):
        values = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return values

    def take_text(self):
        n = self.take("<Q")[0]
        self.at += n
        return self.data[self.at - n:self.at].decode()

    def skip(self, kind):
        if kind == TEXT:
            self.take_text()
        elif kind == ARRAY:
            kind, n = self.take("<IQ")
            for _ in range(n):
                self.skip(kind)
        else:
            self.at += SIZES[kind]

    def tensor(self, name):
        return next(t for t in self.tensors if t[0] == name)

    def add_key(self, name, kind, payload, before):
        """Puts a key in front of another."""
        old, self.keys = self.keys, {}
        for key, value in old.items():
            if key == before and name not in old:
                self.keys[name] = (kind, payload)
            self.keys[key] = value
        self.keys[name] = (kind, payload)

    def pieces(self):
        self.at = 0
        self.data = self.keys["tokenizer.ggml.tokens"][1]
        return [self.take_text() for _ in range(self.take("<IQ")[1])]

    def bytes(self):
        head = b"GGUF" + struct.pack("<IQQ", 3, len(self.tensors), len(self.keys))
        for name, (kind, payload) in self.keys.items():
            head += text_bytes(name) + struct.pack("<I", kind) + payload
        body = b""
        for name, dims, kind, data in self.tensors:
            head += text_bytes(name) + struct.pack(f"<I{len(dims)}Q", len(dims), *dims)
            head += struct.pack("<IQ", kind, len(body))
            body += data + bytes(-len(data) % 32)
        return head + bytes(-len(head) % 32) + body


def distilbert_parts(data):
    """A BERT's file without what a DistilBERT has not."""
    parts = Parts(data)
    parts.tensors.remove(parts.tensor("token_types.weight"))
    parts.keys["primer.kind"] = (TEXT, text_bytes("distilbert"))
    return parts


# ----

def run_checks(checks):
    """Runs every check_ function of a script's globals(), all of them though one fails."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} PROGRAMS, the folder of finetune and its sisters")
    failed = 0
    for name, check in list(checks.items()):
        if not name.startswith("check_"):
            continue
        with tempfile.TemporaryDirectory(prefix="primer-") as folder:
            try:
                check(Tools(sys.argv[1], pathlib.Path(folder).resolve()))
                print("passed", name, flush=True)
            except Exception:
                failed += 1
                print("FAILED", name, flush=True)
                traceback.print_exc(limit=-4)
    sys.exit(1 if failed else 0)
