"""Hostile data files and places that can't be written: one clear line, nothing left behind. Usage:
check_bad_data.py PROGRAMS, the folder of finetune and its sisters."""

import os
import resource
import shutil
import subprocess

from tools_harness import COLUMNS, ENVIRONMENT, RUN_FAST, TIMEOUT, run_checks

HEAD = "sentence\tlabel\n"
GOOD = HEAD + "the cat\tyes\na dog\tno\nthe mat\tyes\n"


def check_tables(tools):
    """Files of rows: the file, the line, what was expected and what was found."""
    tools.make_model()
    tools.make_data()
    for name, content, says in (
            ("a.tsv", None, "a.tsv: No such file or directory"),
            ("a.tsv", "", "a.tsv: the file is empty"),
            ("a.tsv", "\ufeff", "a.tsv: the file is empty"),
            ("a.tsv", "\n\n", "a.tsv: no rows"),
            ("a.tsv", HEAD, "a.tsv: no rows"),
            ("a.tsv", "text\tlabel\na\tb\n", "a.tsv:1: none of the header's 2 columns is called "
             "'sentence'"),
            ("a.tsv", "label\tsentence\tlabel\n", "a.tsv:1: more than one of the header's 3 columns "
             "are called 'label'"),
            ("a.tsv", HEAD + "the cat\tyes\n\na dog\tno\n", "a.tsv:3: an empty line; expected a row"),
            ("a.tsv", HEAD + "the cat\tyes\r\n\r\na dog\tno\r\n", "a.tsv:3: an empty line; expected"),
            ("a.tsv", GOOD + "alone\n", "a.tsv:5: 1 column; expected 2 as in line 1"),
            ("a.tsv", GOOD + "a\tb\tc\n", "a.tsv:5: 3 columns; expected 2 as in line 1"),
            ("a.tsv", GOOD + "a\t\n", "a.tsv:5: label ''; expected a name"),
            ("a.tsv", HEAD + "a\tyes\nb\tyes\n", "a.tsv: all rows have the label 'yes'; expected two"),
            ("a.tsv", GOOD.encode() + b"caf\xe9\tno\n",
             "a.tsv:5: byte 4 of the line (0xE9) is no valid UTF-8"),
            ("a.tsv", GOOD.encode() + b"\xed\xa0\x80\tno\n", "a.tsv:5: byte 1 of the line (0xED)"),
            ("a.tsv", GOOD + "a\0b\tno\n", "a.tsv:5: byte 2 of the line (0x00) is a NUL; expected"),
            ("a.csv", "sentence,label\na,b\n,\n", "a.csv:3: label ''; expected a name"),
            ("a.csv", "sentence,label\na,yes\n\"open,no\nb,no\n",
             "a.csv:3: a quoted field begins here and never ends"),
            ("a.csv", "sentence,label\n\"a\"b,yes\n", "a.csv:2: text after a closing quote; expected"),
            ("a.csv", "sentence,label\n\"a\nb\",yes\nc\n", "a.csv:4: 1 column; expected 2"),
            ("a.csv", "sentence,label\na,yes\n\nb,no\n", "a.csv:3: an empty line; expected a row"),
            ("a.jsonl", '{"sentence": "a", "label": "yes"}\n[1]\n', "a.jsonl:2: an array; expected a"),
            ("a.jsonl", '{"sentence": "a", "label": "yes"}\n{"sentence": "b"}\n',
             "a.jsonl:2: no key 'label'; expected text, a number or a boolean"),
            ("a.jsonl", '{"sentence": null, "label": 1}\n', "a.jsonl:1: no fit value under 'sentence'"),
            ("a.jsonl", '{"sentence": "a", "label": "y', "a.jsonl:1: no JSON object in the line: "),
            ("a.jsonl", '{"sentence": "\\u0000", "label": 1}\n', "a.jsonl:1: no JSON object in the"),
            ("a.jsonl", '{"sentence": "\\ud800", "label": 1}\n', "a.jsonl:1: no JSON object in the"),
            ("a.jsonl", '{"label": 1, "label": 2}\n', "a.jsonl:1: no JSON object in the line: "),
            ("a.jsonl", "[" * 5000 + "\n", "a.jsonl:1: no JSON object in the line: "),
            ("a.jsonl", '{"sentence": "a", "label": 1}\n\n{"sentence": "b", "label": 2}\n',
             "a.jsonl:2: an empty line; expected a row")):
        if content is not None:
            tools.write(name, content)
        tools.fails("finetune", "model.gguf", "--train-file", name, *COLUMNS, says=says)
        if "all rows" not in says and "expected a name" not in says:
            tools.fails("finetune", "model.gguf", "--train-file", "train.tsv", "--dev-file", name,
                        *COLUMNS, says=says)
            tools.fails("evaluate", "model.gguf", "--dev-file", name, *COLUMNS, says=says)
        (tools / name).unlink(missing_ok=True)
    for columns in (["--text", "3", "--label", "2"], ["--text", "1", "--label", "18446744073709551617"]):
        tools.fails("finetune", "model.gguf", "--train-file", "train.tsv", *columns,
                    says=["train.tsv:1: no column ", "; the row has 2"])
    tools.fails("finetune", "model.gguf", "--train-file", ".", *COLUMNS, says=".: Is a directory")
    tools.fails("finetune", "model.gguf", "--train-file", "train.tsv/x", *COLUMNS,
                says="train.tsv/x: Not a directory")


def check_labels(tools):
    """Labels that are none of the known ones."""
    data = [tools.make_model(), *tools.make_data()]
    tools.tune(*data, *RUN_FAST, "--quiet")
    tools.write("odd.tsv", GOOD + "a\tperhaps\033[2J\n")
    says = "odd.tsv:5: label 'perhaps?[2J'; expected one of 'no', 'yes'"
    tools.fails("finetune", *data, "--dev-file", "odd.tsv", says=says)
    tools.fails("evaluate", "model-tuned.gguf", "--dev-file", "odd.tsv", *COLUMNS, says=says)

    row = "x\t{}\t\tthe cat\n"
    for label, says in (("2", "glue/CoLA/train.tsv:3: label '2'; expected one of '0', '1', as in CoLA"),
                        ("", "glue/CoLA/train.tsv:3: label ''; expected one of '0', '1'"),
                        ("01", "label '01'; expected one of '0', '1'")):
        tools.write("glue/CoLA/train.tsv", row.format(0) + row.format(1) + row.format(label))
        tools.write("glue/CoLA/dev.tsv", row.format(0) + row.format(1))
        tools.fails("finetune", "model.gguf", "--task", "CoLA", "--data", "glue", says=says)
    tools.fails("evaluate", "model-tuned.gguf", "--task", "CoLA", "--data", "glue",
                says="the data's label 'unacceptable' is none of the model's")
    os.remove(tools / "glue/CoLA/dev.tsv")
    tools.write("glue/CoLA/train.tsv", row.format(0) + row.format(1))
    tools.fails("finetune", "model.gguf", "--task", "CoLA", "--data", "glue",
                says="glue: neither dev.tsv nor CoLA/dev.tsv is there, which CoLA wants")
    head = "index\tsentence1\tsentence2\tscore\n"
    for score in "x", "nan", "inf", "1e99", "", "1,5", "5.1", "-0.5":
        tools.write("glue/STS-B/train.tsv", head + f"1\ta\tb\t0.5\n2\ta\tb\t{score}\n")
        tools.fails("finetune", "model.gguf", "--task", "STS-B", "--data", "glue",
                    says=f"glue/STS-B/train.tsv:3: label '{score}'; expected a number from 0 to "
                    "5, as in STS-B")


def check_texts(tools):
    """What predict is given to read."""
    model = tools.make_model()
    for content, says in (
            (b"", "the file is empty"), (b"\n\r\n", "empty lines alone; expected a text a line"),
            (b"a\n\nb\n", "2: an empty line; expected a text"),
            (b"a\nb\xffc\n", "2: byte 2 of the line (0xFF) is no valid UTF-8"),
            (b"a\nb\0c\n", "2: byte 2 of the line (0x00) is a NUL; expected text")):
        tools.write("t.txt", content)
        tools.fails("predict", model, "--file", "t.txt", says=["t.txt:", says])
        tools.fails("predict", model, "--file", "-", says=["standard input:", says],
                    text_in=content)
    tools.fails("predict", model, "--file", ".", says=".: Is a directory")
    tools.fails("predict", model, "--file", "none.txt", says="none.txt: No such file or directory")
    tools.fails("predict", model, "fine", b"\xc3(", says="text 2:1: byte 1 of the line (0xC3) is no")
    tools.fails("predict", model, "a", "--text-b", b"a\xff", says="--text-b:1: byte 2 of the line")


def check_names(tools):
    """Models that are not there, or are something else."""
    tools.make_model()
    data = tools.make_data()
    (tools / "empty").mkdir()
    for model, says in (("none.gguf", "none.gguf: No such file or directory"),
                        ("empty", "empty/config.json: No such file or directory"),
                        ("model.gguf/x", "model.gguf/x: Not a directory"),
                        ("vocab.txt", "vocab.txt: not a GGUF file: it does not begin with 'GGUF'"),
                        ("/dev/null", "/dev/null: is a device or pipe, not a regular file")):
        for program, *more in (["finetune", *data], ["convert", "out.gguf"], ["collapse", "out.gguf"],
                               ["evaluate", *data[2:]], ["predict", "a"], ["inspect"]):
            if program != "inspect" or model != "/dev/null":
                tools.fails(program, model, *more, says=says)


def writers(tools):
    """Command lines that write a file under a name that is still to come."""
    data = [tools.make_model(), *tools.make_data(), *RUN_FAST]
    tools.tune(*data, "--learner", "4", "--quiet", "--out", "tuned.gguf")
    return [["finetune", *data, "--quiet", "--out"], ["convert", "model.gguf"],
            ["collapse", "tuned.gguf"],
            ["finetune", *data, "--steps", "3", "--out", "o.gguf", "--quiet", "--checkpoint"],
            ["finetune", *data, "--out", "o.gguf", "--quiet", "--log"]]


def check_places(tools):
    """Folders that are missing, files in the place of folders and folders in the place of files."""
    tools.write("folder/kept.txt", "kept")
    for command in writers(tools):
        said = "" if command[-1] == "--log" else "can't be created: "
        for place, says in (("none/x.gguf", f"none/x.gguf: {said}No such file or directory"),
                            ("vocab.txt/x.gguf", f"vocab.txt/x.gguf: {said}Not a directory"),
                            ("/proc/x.gguf", f"/proc/x.gguf: {said}"),
                            ("x" * 300 + ".gguf", "File name too long"),
                            ("folder.gguf", "folder.gguf: ")):
            if place == "folder.gguf":
                os.rename(tools / "folder", tools / place)
            tools.fails(*command, place, says=says)
            if place == "folder.gguf":
                os.rename(tools / place, tools / "folder")
    for command in writers(tools)[:-1]:
        if command[0] != "convert":
            tools.fails(*command, "/dev/full", says="/dev/full: is a device or pipe, can't be")
    tools.fails("convert", "model.gguf", "folder", says="folder: holds 'kept.txt', which is no part of")
    tools.fails("convert", "model.gguf", "vocab.txt", says="vocab.txt: is there and no directory")
    tools.fails("convert", "model.gguf", "none/x", says="none/x: can't be made a directory: No such")


def limited(size):
    """What a child process does first, so that no file of its grows beyond the size."""
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return limit


def check_full(tools):
    """A disk that fills while a file is written: what was there before is still there."""
    for command in writers(tools)[:4]:
        tools.write("old.gguf", "old")
        for name in "old.gguf", "new.gguf":
            for size in 1, 100_000:
                err = tools.fails(*command, name, says=f"{name}: can't be written: File too large",
                                  preexec_fn=limited(size))
                assert ".part" not in err
        assert tools.read("old.gguf") == b"old"
    tools.fails("convert", "model.gguf", "new", says="new/model.safetensors: can't be written: File ",
                preexec_fn=limited(100_000))


def check_full_output(tools):
    """Standard output on a full disk, or closed."""
    data = [tools.make_model(), *tools.make_data(), *RUN_FAST]
    says = "standard output can't be written: "
    for program, *arguments in (
            ["inspect", "model.gguf"], ["inspect", "model.gguf", "--graph"],
            ["predict", "model.gguf", "a"], ["predict", "model.gguf", "a", "--json"],
            ["evaluate", "model.gguf", *data[3:9]], ["finetune", *data, "--dry-run"],
            ["finetune", "--help"], ["inspect", "--version"]):
        with open("/dev/full", "wb") as full:
            tools.fails(program, *arguments, says=says + "No space left on device", stdout=full)
        shell = ["sh", "-c", 'exec "$0" "$@" >&-', *tools.command(program, arguments)]
        done = subprocess.run(shell, cwd=tools.folder, env=ENVIRONMENT, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, timeout=TIMEOUT, check=False)
        assert done.returncode == 1 and says.encode() in done.stderr, (program, done)
    # Nothing that was meant for the closed stream lands in a file.
    shell = ["sh", "-c", 'exec "$0" "$@" >&- 2>&-',
             *tools.command("finetune", [*data, "--log", "l.jsonl", "--threads", 1])]
    assert subprocess.run(shell, cwd=tools.folder, env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                          timeout=TIMEOUT, check=False).returncode == 1
    lines = tools.read("l.jsonl").splitlines()
    assert len(lines) == 9 and all(line.startswith(b"{") for line in lines), lines


def check_full_log(tools):
    """A log that can't go on ends the run with its checkpoint, and no half-trained model."""
    data = [tools.make_model(), *tools.make_data(), *RUN_FAST]
    out, err = tools.run("finetune", *data, "--log", "/dev/full", code=1)
    assert "\nStopped after step 1 of 6; go on with --resume model-tuned.checkpoint\n" in out, out
    assert err == "finetune: /dev/full: the log can't be written: No space left on device\n", err
    assert not (tools / "model-tuned.gguf").exists()
    tools.tune(*data, "--out", "whole.gguf")
    tools.tune(*data, "--resume", "model-tuned.checkpoint", "--out", "rest.gguf")
    assert tools.read("rest.gguf") == tools.read("whole.gguf")


def check_inputs(tools):
    """Inputs are not written over by any of their names."""
    data = [tools.make_model(), *tools.make_data()]
    os.link(tools / "model.gguf", tools / "hard.gguf")
    (tools / "soft.gguf").symlink_to("model.gguf")
    tools.run("convert", "model.gguf", "folder")
    for out in "model.gguf", "./model.gguf", "hard.gguf", "soft.gguf", str(tools / "model.gguf"):
        tools.wrong("finetune", *data, "--out", out, says=f"--out '{out}' is the input itself")
        tools.wrong("convert", "model.gguf", out, says=f"OUT '{out}' is the input itself")
        tools.wrong("collapse", "model.gguf", out, says=f"OUT '{out}' is the input itself")
    for name in "config.json", "model.safetensors", "vocab.txt":
        tools.wrong("finetune", "folder", *data[1:], "--out", f"folder/{name}", says="the input itself")
    tools.wrong("convert", "folder", "folder/", says="OUT 'folder/' is the input itself")
    tools.wrong("convert", "--random", "tiny", "--vocab", "vocab.txt", "vocab.txt", says="itself")
    for option in "--out", "--checkpoint", "--log":
        for name in "train.tsv", "dev.tsv":
            tools.wrong("finetune", *data, option, name, says=f"{option} '{name}' is an input: name")
    shutil.copytree(tools / "folder", tools / "model-tuned.gguf")
    tools.fails("finetune", *data, says="model-tuned.gguf: is a directory, can't be replaced")


run_checks(globals())
