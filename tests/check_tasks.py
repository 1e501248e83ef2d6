"""GLUE's tasks: every task is tuned, scored and answered for GLUE's server, on small files in the
columns of GLUE's own; and the real files, where $PRIMER_GLUE is their folder. Usage: check_tasks.py
PROGRAMS, the folder of finetune and its sisters."""

import json
import os
import pathlib
import resource
import struct

from tools_harness import COLUMNS, Parts, make_rows, run_checks

PARSES = ("index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\t"
          "sentence1_parse\tsentence2_parse\tsentence1\tsentence2")
SOURCES = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2"
MRPC = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String"
QQP = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate"
# By task: a train file's header and row, a dev file's if they differ, a test file's, the labels as
# the files spell them and as models save them.
BINARY = ["0", "1"]
ENTAILMENT = ["entailment", "not_entailment"]
TASKS = {
    "CoLA": ("", "gj04\t{y}\t\t{a}", "index\tsentence", "{i}\t{a}", BINARY,
             ["unacceptable", "acceptable"]),
    "MNLI": (PARSES + "\tlabel1\tgold_label", "{i}\t3\t3n\tg\tx\ty\tx\ty\t{a}\t{b}\tneutral\t{y}",
             PARSES, "{i}\t3\t3n\tg\tx\ty\tx\ty\t{a}\t{b}",
             ["contradiction", "entailment", "neutral"], None),
    "MRPC": (MRPC, "{y}\t70\t71\t\" {a}\t{b}", "index\t#1 ID\t#2 ID\t#1 String\t#2 String",
             "{i}\t70\t71\t{a}\t{b}", BINARY, ["not_equivalent", "equivalent"]),
    "QNLI": ("index\tquestion\tsentence\tlabel", "{i}\t{a}\t{b}\t{y}", "index\tquestion\tsentence",
             "{i}\t{a}\t{b}", ENTAILMENT, None),
    "QQP": (QQP, "9{i}\t1\t2\t{a}\t{b}\t{y}", "id\tquestion1\tquestion2", "{i}\t{a}\t{b}", BINARY,
            ["not_duplicate", "duplicate"]),
    "RTE": ("index\tsentence1\tsentence2\tlabel", "{i}\t{a}\t{b}\t{y}",
            "index\tsentence1\tsentence2", "{i}\t{a}\t{b}", ENTAILMENT, None),
    "SST-2": ("sentence\tlabel", "{a} \t{y}", "index\tsentence", "{i}\t{a}", BINARY,
              ["negative", "positive"]),
    "STS-B": (SOURCES + "\tscore", "{i}\tg\tf\t2012\t0\tnone\tnone\t{a}\t{b}\t{y}", SOURCES,
              "{i}\tg\tf\t2012\t0\tnone\tnone\t{a}\t{b}", ["0.000", "2.500", "5.000"], None),
    "WNLI": ("index\tsentence1\tsentence2\tlabel", "{i}\t{a}\t{b}\t{y}",
             "index\tsentence1\tsentence2", "{i}\t{a}\t{b}", BINARY,
             ["not_entailment", "entailment"]),
}
SINGLE = ["CoLA", "SST-2"]
# Rows of the real files, as GLUE counts them: train, dev, test; MNLI's two parts together. QQP's
# train file is around in several versions.
ROWS = {"CoLA": (8551, 1043, 1063), "MNLI": (392702, 9815 + 9832, 9796 + 9847),
        "MRPC": (3668, 408, 1725), "QNLI": (104743, 5463, 5463), "QQP": (None, 40430, 390965),
        "RTE": (2490, 277, 3000), "SST-2": (67349, 872, 1821), "STS-B": (5749, 1500, 1379),
        "WNLI": (635, 71, 146)}
METRICS = {"CoLA": ["mcc", "accuracy"], "MNLI": ["accuracy", "accuracy_mm"],
           "MRPC": ["accuracy", "f1"], "QNLI": ["accuracy"], "QQP": ["accuracy", "f1"],
           "RTE": ["accuracy"], "SST-2": ["accuracy"], "STS-B": ["pearson", "spearman"],
           "WNLI": ["accuracy"]}


def parts(task, split):
    """The names of a split's files."""
    if task != "MNLI" or split == "train":
        return [f"{split}.tsv"]
    return [f"{split}_matched.tsv", f"{split}_mismatched.tsv"]


def make_pairs(n, seed):
    rows = make_rows(n, seed)
    return [(text, rows[(i + 1) % n][0]) for i, (text, _) in enumerate(rows)]


def write_file(tools, task, split, name, n, seed):
    train_header, train_row, test_header, test_row, labels, _ = TASKS[task]
    header, row = (test_header, test_row) if split == "test" else (train_header, train_row)
    if (task, split) == ("MNLI", "dev"):
        header = header.replace("label1", "label1\tlabel2\tlabel3\tlabel4\tlabel5")
        row = row.replace("neutral\t", "neutral\tneutral\tneutral\t\t\t")
    lines = [header] if header else []
    # The first text's last word decides, and its first letter among three labels.
    lines += [row.format(i=i, a=a, b=b, y=labels[a.endswith("good")
                                                 * (1 + (len(labels) > 2 and a[0] > "i"))])
              for i, (a, b) in enumerate(make_pairs(n, seed))]
    tools.write(f"glue/{task}/{name}", "\n".join(lines) + "\n")


def write_task(tools, task):
    """Its files in glue/TASK; returns finetune's options."""
    for split, n in ("train", 120), ("dev", 12), ("test", 7):
        for part, name in enumerate(parts(task, split)):
            write_file(tools, task, split, name, n + part, len(split) + 10 * part)
    return ["--task", task, "--data", "glue"]


def make_tuned(tools, task):
    """A model that has seen the task, as task.gguf."""
    if not (tools / "model.gguf").exists():
        tools.make_model()
    data = write_task(tools, task)
    out, _ = tools.tune("model.gguf", *data, "--lr", "2e-3", "--epochs", 6, "--out", f"{task}.gguf",
                        "--json")
    return data, json.loads(out)


def read_answers(tools, name):
    lines = tools.read(name).decode().split("\n")
    assert lines[0] == "index\tprediction" and lines[-1] == "", lines
    rows = [line.split("\t") for line in lines[1:-1]]
    assert [row[0] for row in rows] == [str(i) for i in range(len(rows))], rows
    return [row[1] for row in rows]


def expected_answers(tools, task, part):
    """What predict says of each pair, spelled as the task's files do."""
    labels, names = TASKS[task][4:]
    said = []
    for a, b in make_pairs(7 + part, 4 + 10 * part):
        second = [] if task in SINGLE else ["--text-b", b]
        answer = json.loads(tools.run("predict", f"{task}.gguf", a, *second, "--json")[0])
        if task == "STS-B":
            said.append(answer["value"])
        else:
            said.append(labels[names.index(answer["label"])] if names else answer["label"])
    return said


def same_answers(found, expected):
    """Numbers come in batches of other sizes, so with other roundings."""
    if isinstance(expected[0], str):
        return found == expected
    return all(len(f) == 5 and abs(float(f) - e) < 6e-4
               for f, e in zip(found, expected, strict=True))


def check_every_task(tools):
    for task, metrics in METRICS.items():
        data, summary = make_tuned(tools, task)
        last = summary["epochs"][-1]
        assert all(key in last for key in metrics), (task, last)
        scores = json.loads(tools.run("evaluate", f"{task}.gguf", *data, "--json")[0])
        assert {key: scores[key] for key in metrics} == {key: last[key] for key in metrics}, task
        assert scores["skipped"] == 0 and scores["texts"] == sum(
            12 + part for part, _ in enumerate(parts(task, "dev"))), scores

        out, _ = tools.run("predict", f"{task}.gguf", "--task", task.lower(), "--data", "glue",
                           "--submit", "answers")
        files = ["MNLI-m.tsv", "MNLI-mm.tsv"] if task == "MNLI" else [f"{task}.tsv"]
        assert out == "".join(f"Wrote answers/{name}: {7 + part} answers\n"
                              for part, name in enumerate(files)), out
        for part, name in enumerate(files):
            answers = read_answers(tools, f"answers/{name}")
            assert same_answers(answers, expected_answers(tools, task, part)), (task, answers)
            assert len(set(answers)) > 1, (task, answers)
    assert sorted(os.listdir(tools / "answers")) == sorted(
        ["MNLI-m.tsv", "MNLI-mm.tsv", *(f"{task}.tsv" for task in TASKS if task != "MNLI")])


def check_mnli_scores(tools):
    """Both dev sets are scored after each epoch, each as it is alone."""
    tools.make_model()
    data = write_task(tools, "MNLI")
    out, _ = tools.tune("model.gguf", *data, "--lr", "2e-3", "--epochs", 4, "--out", "MNLI.gguf")
    assert "120 texts, 25 more to score on\n" in out, out
    assert out.count(", dev accuracy ") == out.count(", mismatched accuracy ") == 4, out
    scores = json.loads(tools.run("evaluate", "MNLI.gguf", *data, "--json")[0])
    assert scores["accuracy"] != scores["accuracy_mm"], scores
    columns = ["--text", "sentence1", "--text-b", "sentence2", "--label", "gold_label"]
    for name, key in zip(parts("MNLI", "dev"), METRICS["MNLI"], strict=True):
        alone, _ = tools.run("evaluate", "MNLI.gguf", "--dev-file", f"glue/MNLI/{name}", *columns,
                             "--json")
        assert json.loads(alone)["accuracy"] == scores[key], name
    out, _ = tools.run("evaluate", "MNLI.gguf", *data)
    assert out.startswith(f"MNLI: accuracy {scores['accuracy']:.4f}, "
                          f"mismatched accuracy {scores['accuracy_mm']:.4f} (25 texts, "), out
    (tools / "glue/MNLI/dev_mismatched.tsv").unlink()
    says = "glue: neither dev_mismatched.tsv nor MNLI/dev_mismatched.tsv is there, which MNLI wants"
    tools.fails("finetune", "model.gguf", *data, says=says)
    tools.fails("evaluate", "MNLI.gguf", *data, says=says)


def check_broken_rows(tools):
    """QQP's are left out and counted where it is trained and scored, never where it is answered."""
    data, _ = make_tuned(tools, "QQP")
    broken = "5\t1\t2\t\"is the cat\n\n\"\tis the dog\t1\n6\t3\t4\tthe mat\n"
    for name in "train", "dev":
        path = tools / f"glue/QQP/{name}.tsv"
        path.write_text(path.read_text() + broken + "7\t5\t6\tthe cat\tthe dog\t0\n")
    out, _ = tools.tune("model.gguf", *data, "--epochs", 1, "--out", "o.gguf")
    assert ("Training on QQP: 121 texts, 13 more to score on\n"
            "  8 broken rows left out\n") in out, out
    out, _ = tools.run("evaluate", "o.gguf", *data)
    assert out.endswith("  4 broken rows left out\n"), out
    scores = json.loads(tools.run("evaluate", "o.gguf", *data, "--json")[0])
    assert (scores["texts"], scores["skipped"]) == (13, 4), scores
    test = tools / "glue/QQP/test.tsv"
    test.write_text(test.read_text() + "7\t\"the cat\n\"\tthe dog\n")
    tools.fails("predict", "QQP.gguf", *data, "--submit", "answers",
                says="glue/QQP/test.tsv:9: 2 columns; expected 3 as in line 1")


def check_labelled_test_set(tools):
    """MRPC's test file as Microsoft has it: labels, which are not looked at, and no index."""
    data, _ = make_tuned(tools, "MRPC")
    rows = "".join(f"{'x' if i else 1}\t70\t71\t{a}\t{b}\n"
                   for i, (a, b) in enumerate(make_pairs(7, 4)))
    tools.run("predict", "MRPC.gguf", *data, "--submit", "a")
    tools.write("glue/MRPC/test.tsv", MRPC + "\n" + rows)
    tools.run("predict", "MRPC.gguf", *data, "--submit", "b")
    assert tools.read("a/MRPC.tsv") == tools.read("b/MRPC.tsv")


def check_labels_in_another_order(tools):
    """A model tuned on files of one's own has its labels sorted; the task has them otherwise."""
    tools.make_model()
    data = write_task(tools, "CoLA")
    tools.write("own.tsv", "sentence\tlabel\n" + "".join(
        f"{text}\t{'' if label == 'yes' else 'un'}acceptable\n"
        for text, label in make_rows(120, 5)))
    tools.tune("model.gguf", "--train-file", "own.tsv", *COLUMNS, "--lr", "2e-3", "--epochs", 6,
               "--out", "CoLA.gguf", "--quiet")
    tools.run("predict", "CoLA.gguf", *data, "--submit", "answers")
    answers = read_answers(tools, "answers/CoLA.tsv")
    assert answers == expected_answers(tools, "CoLA", 0) and len(set(answers)) == 2, answers


def check_numbers_in_range(tools):
    """A number beyond a task's range is the range's end; infinity is no answer at all."""
    data, _ = make_tuned(tools, "STS-B")
    for bias, value in (100, "5.000"), (-100, "0.000"):
        parts = Parts(tools.read("STS-B.gguf"))
        parts.tensor("cls.output.bias")[3] = struct.pack("<f", bias)
        tools.write("far.gguf", parts.bytes())
        tools.run("predict", "far.gguf", *data, "--submit", "answers")
        assert read_answers(tools, "answers/STS-B.tsv") == [value] * 7
    weight = parts.tensor("cls.output.weight")
    weight[3] = struct.pack("<f", 3e38) * (len(weight[3]) // 4)
    tools.write("far.gguf", parts.bytes())
    tools.fails("predict", "far.gguf", *data, "--submit", "none",
                says="is the first to compute infinity")
    assert not (tools / "none").exists()


def check_wrong_models(tools):
    """A model that was not tuned for the task: one line, and no folder."""
    tools.make_model()
    for task in "RTE", "STS-B", "MNLI":
        make_tuned(tools, task)
    write_task(tools, "CoLA")
    for model, task, says in (
            ("RTE", "CoLA", "CoLA's label 'unacceptable' is none of the model's, which begin with "
             "'entailment' and 'not_entailment'"),
            ("STS-B", "RTE", "RTE asks for 2 labels, the model answers with a number"),
            ("MNLI", "RTE", "RTE asks for 2 labels, the model answers with 3 labels"),
            ("RTE", "STS-B", "STS-B asks for a number, the model answers with 2 labels")):
        tools.fails("predict", f"{model}.gguf", "--task", task, "--data", "glue", "--submit", "new",
                    says=says)
        assert not (tools / "new").exists()
        if task != "CoLA":
            tools.fails("evaluate", f"{model}.gguf", "--task", task, "--data", "glue",
                        says=says.replace(task, "the data"))


def check_submission_faults(tools):
    data, _ = make_tuned(tools, "RTE")
    ask = ["predict", "RTE.gguf"]
    for words, says in (
            (["--submit", "d"], "--submit needs --task NAME, the task to answer"),
            (["--submit", "d", "--task", "RTE"], "--task RTE needs --data DIR, the folder with"),
            (data, "--task needs --submit DIR, the folder for GLUE's submission file"),
            (["--data", "glue", "a text"], "--data needs --submit DIR"),
            ([*data, "--submit", "d", "a text"], "--submit answers a test set and nothing else: "
             "leave out the texts"),
            ([*data, "--submit", "d", "--file", "f"], "nothing else: leave out --file"),
            ([*data, "--submit", "d", "--text-b", "b"], "nothing else: leave out --text-b"),
            ([*data, "--submit", "d", "--json"], "nothing else: leave out --json"),
            (["--task", "RTA", "--data", "glue", "--submit", "d"],
             "unknown --task 'RTA': did you mean 'RTE'?"),
            ([*data, "--submit="], "--submit needs a value"),
            ([*data, "--output_dir", "d"], "did you mean '--submit'?")):
        tools.wrong(*ask, *words, says=says)
    tools.fails(*ask, *data, "--submit", "model.gguf", says="model.gguf: is there and no directory")
    tools.fails(*ask, *data, "--submit", "none/d", says="none/d: can't be made a directory: No")
    tools.fails(*ask, "--task", "RTE", "--data", "none", "--submit", "d",
                says="none: neither test.tsv nor RTE/test.tsv is there, which RTE wants")
    assert not (tools / "d").exists()
    (tools / "d/RTE.tsv").mkdir(parents=True)
    tools.fails(*ask, *data, "--submit", "d", says="d/RTE.tsv: ")
    (tools / "d/RTE.tsv").rmdir()
    for name in "RTE.gguf", "glue/RTE/test.tsv", "glue/RTE/train.tsv":
        (tools / "d/RTE.tsv").symlink_to(tools / name)
        tools.wrong(*ask, *data, "--submit", "d", says="--submit: 'd/RTE.tsv' is an input: name")
        (tools / "d/RTE.tsv").unlink()
    test = tools.read("glue/RTE/test.tsv")
    for content, says in (
            (test.replace(b"\n4\t", b"\n5\t"), "glue/RTE/test.tsv:6: index '5'; expected '4', "),
            (test.rsplit(b"\t", 1)[0], "glue/RTE/test.tsv:8: 2 columns; expected 3 as in line 1"),
            (b"index\tquestion\tsentence\n0\ta\tb\n", "glue/RTE/test.tsv:1: not RTE's columns: "
             "'index', 'question', 'sentence'; expected index, sentence1, sentence2"),
            (b"", "glue/RTE/test.tsv: the file is empty")):
        tools.write("glue/RTE/test.tsv", content)
        tools.write("d/RTE.tsv", "old")
        tools.fails(*ask, *data, "--submit", "d", says=says)
        assert tools.read("d/RTE.tsv") == b"old"
    tools.fails("predict", "model.gguf", *data, "--submit", "d", "--max-length", "100000",
                says="--max-length 100000: the model has positions for", code=2)


def check_full_disk(tools):
    """MNLI's two files are written both or neither, though only one finds no room."""
    data, _ = make_tuned(tools, "MNLI")
    write_file(tools, "MNLI", "test", "test_mismatched.tsv", 100, 3)
    tools.write("d/MNLI-m.tsv", "old")

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
    tools.fails("predict", "MNLI.gguf", *data, "--submit", "d", preexec_fn=limit,
                says="d/MNLI-mm.tsv: can't be written: File too large")
    assert os.listdir(tools / "d") == ["MNLI-m.tsv"]
    tools.fails("predict", "MNLI.gguf", *data, "--submit", "new", preexec_fn=limit,
                says="new/MNLI-mm.tsv: can't be written: File too large")
    assert not (tools / "new").exists()


def check_real_files(tools):
    """Rows of GLUE's own files, each read as a user reads it."""
    if "PRIMER_GLUE" not in os.environ:
        print("GLUE's own files are not read: PRIMER_GLUE names no folder of them")
        return
    glue = pathlib.Path(os.environ["PRIMER_GLUE"]).resolve()
    for task, rows in ROWS.items():
        make_tuned(tools, task)
        there = [all((glue / task / name).exists() for name in parts(task, split))
                 for split in ("train", "dev", "test")]
        found = [None, None, None]
        model = [f"{task}.gguf", "--task", task, "--data", glue, "--max-length", 16]
        if there[0] and there[1]:
            out, _ = tools.run("finetune", "model.gguf", *model[1:], "--dry-run")
            told = out.split("\n", 1)[0].replace(",", "").split()
            assert told[:3] == ["Training", "on", f"{task}:"], out
            found[0] = int(told[3])
        if there[1]:
            found[1] = json.loads(tools.run("evaluate", *model, "--json")[0])["texts"]
        if there[2]:
            tools.run("predict", *model, "--submit", "real")
            found[2] = sum(len(read_answers(tools, f"real/{path.name}"))
                           for path in (tools / "real").glob(f"{task}[-.]*"))
        for split, count, expected in zip(("train", "dev", "test"), found, rows, strict=True):
            assert count is None or expected in (None, count), (task, split, count, expected)
        print(f"{task}: " + ", ".join(f"{split} {'not there' if count is None else count}"
                                      for split, count in zip(("train", "dev", "test"), found)))


run_checks(globals())
