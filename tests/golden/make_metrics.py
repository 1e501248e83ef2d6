#!/usr/bin/env python3
"""Prints what tests/test_metrics.c holds as literals: answers, truths, and scikit-learn's and SciPy's
values for them.

    tests/golden/make_metrics.py
"""
import numpy as np
import scipy.stats
import sklearn.metrics as metrics


def literal(values):
    return "{" + ", ".join(f"{v:g}" for v in values) + "}"


def classes(rng, n, k, right):
    truth = rng.integers(0, k, n)
    return np.where(rng.random(n) < right, truth, rng.integers(0, k, n)), truth


def main():
    rng = np.random.default_rng(7)
    for name, n, k, right in (("two classes", 33, 2, 0.4), ("three", 40, 3, 0.5), ("seven", 40, 7, 0.7)):
        answer, truth = classes(rng, n, k, right)
        print(name, literal(answer), literal(truth), sep="\n")
        print(f"matthews {metrics.matthews_corrcoef(truth, answer)!r} accuracy {metrics.accuracy_score(truth, answer)!r}")
        if k == 2:
            print(f"f1 {metrics.f1_score(truth, answer)!r}")
    truth = rng.integers(0, 21, 30) / 4
    answer = np.round((truth + rng.normal(0, 1.5, 30)) * 2) / 2
    print("numbers", literal(answer), literal(truth), sep="\n")
    print(f"pearson {scipy.stats.pearsonr(answer, truth).statistic!r} spearman {scipy.stats.spearmanr(answer, truth).statistic!r}")
    print("constant", metrics.matthews_corrcoef([0, 1, 1], [1, 1, 1]), metrics.f1_score([0, 0], [0, 0], zero_division=0))


main()
