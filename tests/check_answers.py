"""What a tuned model says: predict and evaluate. Usage: check_answers.py PROGRAMS, the folder of
finetune and its sisters."""

import json
import math

from tools_harness import COLUMNS, TIMING, make_rows, run_checks

TEXTS = ["the cat is good", "the mat is bad", "dog 7, très bad?", "good", "bad " * 40, ""]


def make_tuned(tools):
    """A model that has learnt to tell texts with "good" from those with "bad"."""
    tools.make_model()
    data = tools.make_data(train=120)
    tools.tune("model.gguf", *data, "--lr", "2e-3", "--epochs", "6", "--quiet")
    return "model-tuned.gguf"


def predict(tools, *arguments, **more):
    out, _ = tools.run("predict", "--json", *arguments, **more)
    return [json.loads(line) for line in out.split("\n")[:-1]]


def check_answers(tools):
    """The table and the JSON lines say the same, and it is what was learnt."""
    model = make_tuned(tools)
    answers = predict(tools, model, *TEXTS)
    assert [a["text"] for a in answers] == TEXTS
    assert [a["label"] for a in answers[:5]] == ["yes", "no", "no", "yes", "no"], answers
    for a in answers:
        assert set(a) == {"text", "label", "probabilities"}
        assert list(a["probabilities"]) == ["no", "yes"]
        assert math.isclose(sum(a["probabilities"].values()), 1, abs_tol=1e-6)
        assert a["probabilities"][a["label"]] >= 0.5
    out, err = tools.run("predict", model, *TEXTS)
    lines = out.split("\n")
    assert not err and lines[-1] == "" and lines[0].split() == ["label", "no", "yes", "text"], out
    column = lines[0].index("text")
    for a, line in zip(answers, lines[1:-1], strict=True):
        assert line[column:] == a["text"], out
        label, no, yes = line[:column].split()
        assert label == a["label"]
        for shown, name in (no, "no"), (yes, "yes"):
            assert abs(float(shown) - a["probabilities"][name]) < 6e-5


def check_texts(tools):
    """The same answers however texts come in, and in batches of any size."""
    model = make_tuned(tools)
    texts = [text.strip() for text in TEXTS if text]
    expected = predict(tools, model, *texts)
    tools.write("texts.txt", "".join(text + "\n" for text in texts))
    windows = "\ufeff" + "\r\n".join(texts) + "\r\n\r\n\n"
    assert predict(tools, model, "--file", "texts.txt") == expected
    assert predict(tools, model, "--file", "-", text_in=windows) == expected
    assert predict(tools, model, *texts[:2], "--file", "-",
                   text_in="\n".join(texts[2:])) == expected
    for threads in 1, 2, 3:
        assert predict(tools, model, *texts, "--threads", threads) == expected, threads
    for size in 1, 2:  # other products, so other roundings
        for a, b in zip(predict(tools, model, *texts, "--batch-size", size), expected, strict=True):
            assert (a["text"], a["label"]) == (b["text"], b["label"])
            assert all(math.isclose(a["probabilities"][name], b["probabilities"][name],
                                    abs_tol=1e-5) for name in ("no", "yes"))
    tools.run("convert", model, "folder")
    assert predict(tools, "folder", *texts) == expected
    assert predict(tools, model, "--", "--json is good")[0]["label"] == "yes"


def check_hostile_text(tools):
    """A text stays on its line, and a terminal acts on nothing in it."""
    model = make_tuned(tools)
    out, _ = tools.run("predict", model, "the\ncat\t\033[31m", "--text-b", "\x7f\r")
    assert out.split("\n")[1].endswith("  the\\x0acat\\x09\\x1b[31m | \\x7f\\x0d"), out
    assert out.count("\n") == 2
    assert predict(tools, model, "the\ncat\t\033[31m")[0]["text"] == "the\ncat\t\033[31m"
    tools.write("a.jsonl", "".join(json.dumps({"text": text, "label": label + "\n\033[2J"}) + "\n"
                                   for text, label in make_rows(8, 3)))
    tools.tune("model.gguf", "--train-file", "a.jsonl", "--text", "text", "--label", "label",
               "--epochs", 1, "--out", "b.gguf")
    out, _ = tools.run("predict", "b.gguf", "a")
    names = ["no\\x0a\\x1b[2J", "yes\\x0a\\x1b[2J"]
    assert out.split("\n")[0].split() == ["label", *names, "text"] and out.count("\n") == 2, out


def check_scores(tools):
    """evaluate's scores are those of predict's labels."""
    model = make_tuned(tools)
    rows = make_rows(30, 9)
    rows[3:6] = [(text, "no" if label == "yes" else "yes") for text, label in rows[3:6]]
    tools.write("test.tsv", "sentence\tlabel\n" + "".join(f"{t}\t{l}\n" for t, l in rows))
    test = ["--dev-file", "test.tsv", *COLUMNS]
    answers = [a["label"] for a in predict(tools, model, *[text for text, _ in rows])]
    count = {(a, b): sum((x, y[1]) == (a, b) for x, y in zip(answers, rows))
             for a in ("yes", "no") for b in ("yes", "no")}
    tp, tn, fp, fn = (count[k] for k in (("yes", "yes"), ("no", "no"), ("yes", "no"), ("no", "yes")))
    matthews = (tp * tn - fp * fn) / math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert 0.3 < matthews < 1
    scores = json.loads(tools.run("evaluate", model, *test, "--json")[0])
    assert set(scores) == {"data", "texts", "truncated", "skipped", "mcc", "accuracy", "seconds",
                           *TIMING}
    assert (scores["data"], scores["texts"], scores["truncated"]) == ("test.tsv", 30, 0)
    assert abs(scores["mcc"] - matthews) < 1e-4
    assert abs(scores["accuracy"] - (tp + tn) / 30) < 1e-4
    out, _ = tools.run("evaluate", model, *test, "--batch-size", 7)
    assert out.startswith(f"test.tsv: matthews {matthews:.4f}, accuracy {(tp + tn) / 30:.4f} "
                          "(30 texts, "), out
    tools.run("convert", model, "folder")
    assert json.loads(tools.run("evaluate", "folder", *test, "--json")[0])["mcc"] == scores["mcc"]


def check_last_epoch(tools):
    """evaluate scores a saved model as finetune did at its end."""
    data = [tools.make_model(), *tools.make_data()]
    out, _ = tools.tune(*data, "--learner", 4, "--lr", "2e-3", "--json")
    scores = json.loads(tools.run("evaluate", "model-tuned.gguf", *data[3:], "--json")[0])
    last = json.loads(out)["epochs"][-1]
    assert (scores["mcc"], scores["accuracy"]) == (last["mcc"], last["accuracy"])


def check_unnamed_labels(tools):
    """A model without labels' names answers with their numbers."""
    model = tools.make_model()
    assert list(predict(tools, model, "a")[0]["probabilities"]) == ["0", "1"]


run_checks(globals())
