#!/usr/bin/env python3
"""Writes metrics.h: answers, truths, and scikit-learn's and SciPy's values for them.

    python3 make_metrics.py | clang-format-14 > metrics.h       needs numpy, scikit-learn and scipy

The cases of many rows are not stored: draw_rows, which test_metrics.c has too, gives them.
Pearson and Spearman are of the values as f32, in double precision."""
import warnings

import numpy as np
import scipy
import scipy.stats
import sklearn
import sklearn.metrics as metrics

NAN, INF = float("nan"), float("inf")
ROWS = 10000


def literal(value, f32=False):
    value = float(value)
    if value != value:
        return "NAN"
    if abs(value) == INF:
        return "-INFINITY" if value < 0 else "INFINITY"
    return (f"{value:g}" if f32 and float(f"{value:g}") == value else value.hex()) + (
        "F" if f32 and not value.is_integer() else "")


def draw_classes(rng, n, k, right):
    truth = rng.integers(0, k, n)
    return np.where(rng.random(n) < right, truth, rng.integers(0, k, n)), truth


def draw_numbers(rng, n):
    truth = rng.integers(0, 21, n) / 4
    return np.round((truth + rng.normal(0, 1.5, n)) * 2) / 2, truth


def draw_rows(base):
    """Answers and truths of 11 bits above a base."""
    state, rows = 12345, []
    for _ in range(ROWS):
        state = (state * 1664525 + 1013904223) % 2**32
        a = state >> 21
        state = (state * 1664525 + 1013904223) % 2**32
        rows.append((base + a / 2048, base + ((a + (state >> 21)) >> 1) / 2048))
    return np.array(rows, np.float32).T


def class_cases(rng):
    yield "two classes", 2, *draw_classes(rng, 33, 2, 0.4)
    yield "three classes", 3, *draw_classes(rng, 40, 3, 0.5)
    yield "seven classes", 7, *draw_classes(rng, 40, 7, 0.7)
    yield "all right", 2, [0, 1, 1, 0, 1], [0, 1, 1, 0, 1]
    yield "all wrong", 2, [1, 0, 0, 1, 0], [0, 1, 1, 0, 1]
    yield "one class answered", 2, [1, 1, 1, 1], [0, 1, 1, 1]
    yield "the other class answered", 2, [0, 0, 0, 0], [0, 1, 1, 1]
    yield "one class true", 2, [0, 1, 1, 1], [1, 1, 1, 1]
    yield "one class alone", 2, [1, 1, 1], [1, 1, 1]
    yield "the other class alone", 2, [0, 0, 0], [0, 0, 0]
    yield "one class each", 2, [0, 0, 0], [1, 1, 1]
    yield "a class never met", 3, [0, 1, 1, 0], [0, 1, 0, 0]
    yield "one row", 2, [1], [1]


def number_cases(rng):
    yield "ties", *draw_numbers(rng, 30)
    yield "no ties", rng.normal(size=20), rng.normal(size=20)
    yield "all tied but one", [2, 2, 2, 2, 7], [1, 2, 3, 4, 5]
    yield "two rows", [1, 2], [5, 3]
    yield "in order", [1, 2, 4], [10, 20, 21]
    yield "in reverse", [1, 2, 4], [3, 2, 1]
    yield "far from zero", [10000.25, 10000.5, 10000.75, 10001.5], [5000, 5000.5, 5000.25, 5001]
    yield "huge", [1e30, 2e30, -1e30], [3e-30, 1e-30, 2e-30]
    yield "constant answers", [2, 2, 2], [1, 2, 4]
    yield "constant truths", [1, 2, 4], [0, 0, 0]
    yield "not a number", [NAN, 1, 2, 3], [1, 2, 4, 3]
    yield "infinity", [1, 2, INF, 3], [1, 2, 4, 5]


def correlations(answer, truth):
    answer, truth = (np.asarray(v, np.float32).astype(np.float64) for v in (answer, truth))
    return (scipy.stats.pearsonr(answer, truth).statistic,
            scipy.stats.spearmanr(answer, truth).statistic)


def print_arrays(kind, i, answer, truth, write):
    for name, values in ("answer", answer), ("truth", truth):
        print(f"static const {kind} golden_{name}_{kind[0]}{i}[] = {{"
              + ", ".join(write(v) for v in values) + "};")


def main():
    warnings.simplefilter("ignore")  # of what is not defined
    rng = np.random.default_rng(7)
    print(f"/* Written by make_metrics.py with scikit-learn {sklearn.__version__} and SciPy "
          f"{scipy.__version__}. */")
    rows = []
    for i, (name, k, answer, truth) in enumerate(class_cases(rng)):
        print_arrays("int32_t", i, answer, truth, lambda v: f"{int(v)}")
        values = [metrics.matthews_corrcoef(truth, answer), metrics.accuracy_score(truth, answer),
                  metrics.f1_score(truth, answer, zero_division=0) if k == 2 else NAN]
        rows.append(f'{{"{name}", {k}, {len(answer)}, golden_answer_i{i}, golden_truth_i{i}, '
                    + ", ".join(map(literal, values)) + "}")
    print("static const golden_classes golden_class_cases[] = {" + ", ".join(rows) + "};")
    rows = []
    for i, (name, answer, truth) in enumerate(number_cases(rng)):
        print_arrays("float", i, np.asarray(answer, np.float32), np.asarray(truth, np.float32),
                     lambda v: literal(v, True))
        rows.append(f'{{"{name}", {len(answer)}, golden_answer_f{i}, golden_truth_f{i}, '
                    + ", ".join(map(literal, correlations(answer, truth))) + "}")
    print("static const golden_numbers golden_number_cases[] = {" + ", ".join(rows) + "};")
    print(f"enum {{ GOLDEN_ROWS = {ROWS} }};")
    rows = [f"{{{base}, " + ", ".join(map(literal, correlations(*draw_rows(base)))) + "}"
            for base in (0, 4096)]
    print("static const golden_drawn golden_drawn_cases[] = {" + ", ".join(rows) + "};")


main()
