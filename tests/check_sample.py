#!/usr/bin/env python3
"""The sample data: made again byte for byte; train and dev share no sentence and no template with
the same words; nothing but grammar gives a label away: a bag of words, the length, or any single
word stays under 0.2 Matthews on dev.

    check_sample.py SOURCE_FOLDER          needs numpy
"""
import csv
import importlib.util
import pathlib
import sys
import tempfile

import numpy

LIMIT = 0.2
SAMPLE = pathlib.Path(sys.argv[1]) / "tools" / "sample"


def load_maker():
    spec = importlib.util.spec_from_file_location("make_sample", SAMPLE / "make_sample.py")
    maker = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(maker)
    return maker


def read(side):
    with open(SAMPLE / f"{side}.tsv", encoding="ascii", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert rows[0] == ["sentence", "label"], rows[0]
    return [(sentence, label == "acceptable") for sentence, label in rows[1:]]


def words_of(sentence):
    return "".join(c if c.isalpha() or c == "'" else f" {c} " for c in sentence.lower()).split()


def matthews(said, true):
    said, true = numpy.asarray(said, bool), numpy.asarray(true, bool)
    tp, tn = float((said & true).sum()), float((~said & ~true).sum())
    fp, fn = float((said & ~true).sum()), float((~said & true).sum())
    scale = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return (tp * tn - fp * fn) / scale ** 0.5 if scale else 0.0


def logistic_regression(x, y, penalty):
    """Weights of a logistic regression with a penalty on their squares, by Newton's method."""
    x = numpy.hstack([x, numpy.ones((len(x), 1))])
    w = numpy.zeros(x.shape[1])
    for _ in range(12):
        p = 1 / (1 + numpy.exp(-x @ w))
        hessian = (x.T * (p * (1 - p))) @ x + penalty * numpy.eye(len(w))
        w -= numpy.linalg.solve(hessian, x.T @ (p - y) + penalty * w)
    return lambda z: numpy.hstack([z, numpy.ones((len(z), 1))]) @ w > 0


def counts(rows, vocabulary):
    x = numpy.zeros((len(rows), len(vocabulary)))
    for i, (sentence, _) in enumerate(rows):
        for word in words_of(sentence):
            if word in vocabulary:
                x[i, vocabulary[word]] += 1
    return x


def check_files(maker, train, dev):
    with tempfile.TemporaryDirectory() as folder:
        sys.argv[1:] = [folder]
        maker.main()
        for name in "train.tsv", "dev.tsv":
            made = (pathlib.Path(folder) / name).read_bytes()
            assert made == (SAMPLE / name).read_bytes(), f"{name} is not what make_sample.py makes"
    assert 950 <= len(train) <= 1150 and 180 <= len(dev) <= 260, (len(train), len(dev))
    sentences = [sentence for sentence, _ in train + dev]
    twice = {s for s in sentences if sentences.count(s) > 1}
    assert not twice, f"more than once: {twice}"
    for name, rows in ("train", train), ("dev", dev):
        share = sum(label for _, label in rows) / len(rows)
        assert 0.48 < share < 0.52, f"{name}: {share:.3f} of the sentences are acceptable"


def check_groups(maker):
    """A filling names its template's content words; in whatever order they stand."""
    sides = {}
    for group in maker.read_groups():
        key = group.template, tuple(sorted(word.strip() for word in group.filling.split(";")))
        assert key not in sides, f"a template with the same words again: {key}"
        sides[key] = group.side
        labels = [label for _, label in group.sentences]
        assert labels.count("acceptable") == labels.count("unacceptable"), key
    assert {"train", "dev"} == set(sides.values())


def check_baselines(train, dev):
    y, true = (numpy.array([label for _, label in rows], float) for rows in (train, dev))
    vocabulary = {w: i for i, w in enumerate(sorted({w for s, _ in train for w in words_of(s)}))}
    x, z = counts(train, vocabulary), counts(dev, vocabulary)
    figures = {}
    for penalty in 0.1, 1.0, 10.0:
        said = logistic_regression(x, y, penalty)(z)
        figures[f"bag of words, penalty {penalty:g}"] = matthews(said, true)
    length = [numpy.array([[len(words_of(s)), len(s)] for s, _ in rows], float)
              for rows in (train, dev)]
    figures["length"] = matthews(logistic_regression(length[0], y, 0.1)(length[1]), true)
    in_train = [abs(matthews(x[:, k] > 0, y)) for k in range(x.shape[1])]
    best = int(numpy.argmax(in_train))
    word = list(vocabulary)[best]
    figures[f"best single word, '{word}'"] = abs(matthews(z[:, best] > 0, true))
    figures["any single word, by dev itself"] = max(
        abs(matthews(z[:, k] > 0, true)) for k in range(z.shape[1]))
    for name, figure in figures.items():
        print(f"{name}: Matthews {figure:.3f} on dev")
    high = [name for name, figure in figures.items() if abs(figure) >= LIMIT]
    assert not high, f"{high}: {LIMIT} or more"


def main():
    train, dev = read("train"), read("dev")
    maker = load_maker()
    print(f"{len(train)} sentences to train on, {len(dev)} to score")
    check_groups(maker)
    check_baselines(train, dev)
    check_files(maker, train, dev)


if __name__ == "__main__":
    main()
