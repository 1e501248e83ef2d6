"""What finetune trains on: tasks, tables in every format, columns, pairs, labels, cut texts, the
sample. Usage: check_data.py PROGRAMS, the folder of finetune and its sisters."""

import csv
import io
import json
import shutil

from tools_harness import COLUMNS, TIMING, Tools, make_rows, read_keys, run_checks

SHORT = ["--epochs", "1", "--lr", "1e-3", "--quiet"]


def tuned(tools, *data):
    tools.tune("model.gguf", *data, *SHORT, "--out", "out.gguf")
    return tools.read("out.gguf")


def as_csv(rows, **style):
    out = io.StringIO()
    csv.writer(out, **style).writerows(rows)
    return out.getvalue()


def check_formats(tools):
    """The same rows in any format and by any column make the same model, bit for bit."""
    tools.make_model()
    rows = make_rows(20, 3)
    head = ("sentence", "label")
    lines = ["\t".join(row) for row in [head, *rows]]
    tools.write("a.tsv", "\n".join(lines) + "\n")
    expected = tuned(tools, "--train-file", "a.tsv", *COLUMNS)

    tools.write("marked.tsv", "\ufeff" + "\r\n".join(lines) + "\r\n\r\n")
    tools.write("open.txt", "\n".join(lines))  # neither a known ending nor a newline at the end
    tools.write("b.csv", as_csv([head, *rows]))
    tools.write("quoted.csv", as_csv([head, *rows], quoting=csv.QUOTE_ALL))
    tools.write("b.jsonl", "".join(json.dumps({"label": label, "x": [1], "sentence": text}) + "\n"
                                   for text, label in rows))
    for name in "marked.tsv", "open.txt", "b.csv", "quoted.csv", "b.jsonl":
        assert tuned(tools, "--train-file", name, *COLUMNS) == expected, name

    tools.write("headless.tsv", "".join(f"id\t{label}\t*\t{text}\n" for text, label in rows))
    assert tuned(tools, "--train-file", "headless.tsv", "--text", "4", "--label", "2") == expected


def check_quotes(tools):
    """TSV is never quoted; CSV's fields may hold quotes, commas and newlines."""
    tools.make_model()
    rows = [('"the cat', "yes"), ('a "dog" is on', "no"), ('mat"', "yes"), ("is, very", "no")]
    tools.write("a.tsv", "sentence\tlabel\n" + "".join(f"{t}\t{l}\n" for t, l in rows))
    tools.write("a.csv", as_csv([("sentence", "label"), *rows]))
    assert (tuned(tools, "--train-file", "a.tsv", *COLUMNS)
            == tuned(tools, "--train-file", "a.csv", *COLUMNS))
    broken = [(text.replace(" ", "\n"), label) for text, label in rows]
    tools.write("b.csv", as_csv([("sentence", "label"), *broken]))
    tools.write("b.jsonl", "".join(json.dumps({"sentence": t, "label": l}) + "\n"
                                   for t, l in broken))
    assert (tuned(tools, "--train-file", "b.csv", *COLUMNS)
            == tuned(tools, "--train-file", "b.jsonl", *COLUMNS)
            == tuned(tools, "--train-file", "a.csv", *COLUMNS))


def check_pairs(tools):
    tools.make_model()
    rows = make_rows(12, 4)
    pairs = "".join(f"{text}\t{other}\t{label}\n"
                    for (text, label), (other, _) in zip(rows, rows[1:] + rows[:1]))
    tools.write("a.tsv", "a\tb\ty\n" + pairs)
    data = ["--train-file", "a.tsv", "--dev-file", "a.tsv", "--text", "a", "--label", "y"]
    alone = tuned(tools, *data)
    both = tuned(tools, *data, "--text-b", "b")
    assert both == tuned(tools, *data, "--text-b", "2") != alone
    out, _ = tools.run("evaluate", "out.gguf", *data[2:], "--text-b", "b", "--json")
    assert json.loads(out)["texts"] == 12
    answers = [tools.run("predict", "out.gguf", "the cat", *more, "--json")[0]
               for more in ([], ["--text-b", "is good"])]
    assert json.loads(answers[1])["text_b"] == "is good"
    assert json.loads(answers[0])["probabilities"] != json.loads(answers[1])["probabilities"]


def check_labels(tools):
    """A file's labels are sorted and saved in the model under their names."""
    tools.make_model()
    names = ["zebra", "Über", "10", "9"]
    tools.write("a.tsv", "sentence\tlabel\n" + "".join(
        f"{text}\t{names[i % 4]}\n" for i, (text, _) in enumerate(make_rows(16, 5))))
    tuned(tools, "--train-file", "a.tsv", *COLUMNS)
    found = read_keys(tools / "out.gguf")["bert.classifier.output_labels"]
    assert found == ["10", "9", "zebra", "Über"], found
    out, _ = tools.run("predict", "out.gguf", "the cat", "--json")
    assert list(json.loads(out)["probabilities"]) == found
    tools.run("evaluate", "out.gguf", "--dev-file", "a.tsv", *COLUMNS)


def write_task(tools):
    """A folder of GLUE's with CoLA and STS-B, in their own columns."""
    for name, n, seed in ("train", 20, 6), ("dev", 10, 7):
        rows = make_rows(n, seed)
        tools.write(f"glue/CoLA/{name}.tsv", "".join(
            f"gj04\t{int(label == 'yes')}\t{'' if label == 'yes' else '*'}\t{text}\n"
            for text, label in rows))
        tools.write(f"glue/STS-B/{name}.tsv", "index\tsentence1\tsentence2\tscore\n" + "".join(
            f"{i}\t{text}\tthe cat\t{i % 5 + 0.5}\n" for i, (text, _) in enumerate(rows)))
    return ["--task", "CoLA", "--data", "glue"]


def check_tasks(tools):
    tools.make_model()
    task = write_task(tools)
    expected = tuned(tools, *task)
    for name, folder in ("cola", "glue"), ("CoLA", "glue/CoLA"), ("CoLA", "glue/CoLA/"):
        assert tuned(tools, "--task", name, "--data", folder) == expected
    labels = read_keys(tools / "out.gguf")["bert.classifier.output_labels"]
    assert labels == ["unacceptable", "acceptable"], labels
    scores = json.loads(tools.run("evaluate", "out.gguf", *task, "--json")[0])
    assert scores["data"] == "CoLA" and scores["texts"] == 10
    assert set(scores) == {"data", "texts", "truncated", "skipped", "mcc", "accuracy", "seconds",
                           *TIMING}

    # The same rows under the same names, which a file's own are sorted by: one score by both.
    def write_own(name, n, seed):
        tools.write(name, "sentence\tlabel\n" + "".join(
            f"{text}\t{'' if label == 'yes' else 'un'}acceptable\n"
            for text, label in make_rows(n, seed)))
    write_own("train.tsv", 120, 1)
    write_own("dev.tsv", 10, 7)
    own = ["--dev-file", "dev.tsv", *COLUMNS]
    assert json.loads(tools.run("evaluate", "out.gguf", *own, "--json")[0])["mcc"] == scores["mcc"]
    tools.tune("model.gguf", "--train-file", "train.tsv", *COLUMNS, "--lr", "2e-3", "--epochs", "6",
               "--out", "own.gguf", "--quiet")
    labels = read_keys(tools / "own.gguf")["bert.classifier.output_labels"]
    assert labels == ["acceptable", "unacceptable"], labels
    a, b = [json.loads(tools.run("evaluate", "own.gguf", *data, "--json")[0])
            for data in (task, own)]
    assert a["mcc"] == b["mcc"] > 0.3 and a["accuracy"] == b["accuracy"], (a, b)


def check_regression(tools):
    """A task whose labels are numbers: the model gives a number back."""
    tools.make_model()
    write_task(tools)
    task = ["--task", "STS-B", "--data", "glue"]
    out, _ = tools.tune("model.gguf", *task, "--epochs", "1", "--lr", "1e-3", "--out", "out.gguf")
    assert "dev pearson " in out and ", spearman " in out, out
    assert "bert.classifier.output_labels" not in read_keys(tools / "out.gguf")
    answer = json.loads(tools.run("predict", "out.gguf", "a", "--text-b", "b", "--json")[0])
    assert set(answer) == {"text", "text_b", "value"} and isinstance(answer["value"], float)
    out, _ = tools.run("predict", "out.gguf", "a", "--text-b", "b")
    assert abs(float(out.split()[0]) - answer["value"]) < 1e-4 and out.endswith("a | b\n"), out


def check_long_texts(tools):
    """Long texts are cut, and counted."""
    tools.make_model()
    data = tools.make_data()
    # Every word is a piece, and [CLS] and [SEP] come on top.
    train, dev = [sum(len(text.split()) + 2 > 8 for text, _ in make_rows(n, seed))
                  for n, seed in ((40, 1), (12, 2))]
    assert train > 0 and dev > 1
    for length in 128, 8:
        out, _ = tools.tune("model.gguf", *data, "--epochs", "1", "--max-length", length)
        told = [line for line in out.split("\n") if "longer than" in line]
        cut = f"  {train + dev} texts are longer than 8 tokens and lose their ends"
        assert told == [] if length == 128 else told == [cut], told
    out, _ = tools.run("evaluate", "model-tuned.gguf", *data[2:], "--max-length", 8, "--json")
    assert json.loads(out)["truncated"] == dev, out
    _, err = tools.run("predict", "model-tuned.gguf", "a b c d e f g h", "a", "--max-length", 8)
    assert err == "  1 text is longer than 8 tokens and loses its end\n", err


def check_sample(tools):
    """With no data named it is the sample beside the program, which is told."""
    tools.make_model()
    for program in "finetune", "evaluate":
        (tools / "bin").mkdir(exist_ok=True)
        shutil.copy2(tools.programs / program, tools / "bin" / program)
    copy = Tools(tools / "bin", tools.folder)
    copy.fails("finetune", "model.gguf", says=["the sample data is neither in", "bin/sample nor in",
                                               "name your own data"])
    copy.make_data()
    for name in "train.tsv", "dev.tsv":
        tools.write(f"bin/sample/{name}", tools.read(name))
    out, _ = copy.tune("model.gguf", "--learner", "4", "--prime", "2", "--epochs", "3")
    assert out.startswith("Training on the sample data, since no --task or --train-file is named: "
                          "40 texts, 12 more to score on\n"), out
    out, _ = copy.run("evaluate", "model-tuned.gguf")
    assert out.startswith("the sample data, since no --task or --dev-file is named: "), out


run_checks(globals())
