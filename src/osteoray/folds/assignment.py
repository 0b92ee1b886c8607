"""Folds by permuted-block randomisation in order of enrolment within sex.

Each consecutive block of K patients of one sex receives a seeded permutation of the K folds. A patient's fold depends
on the seed, the sex and the patient's rank among earlier patients of that sex, so appending patients moves nobody, and
in every sex two folds differ by at most one patient.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def assign_folds(sexes: Sequence[str], count: int, seed: int) -> list[int]:
    """Fold of every patient, from 0 to count - 1.

    Args:
        sexes: "F" or "M" of every patient in order of enrolment.
        count: number of folds.
        seed: of the permutations.

    Raises:
        ValueError: fewer than two folds.
    """
    if count < 2:
        raise ValueError(f"count: expected at least 2 folds, got {count}")
    enrolled: dict[str, int] = {}
    folds = []
    for sex in sexes:
        block, place = divmod(enrolled.get(sex, 0), count)
        folds.append(_permutation(count, seed, sex, block)[place])
        enrolled[sex] = enrolled.get(sex, 0) + 1
    return folds


def _permutation(count: int, seed: int, sex: str, block: int) -> list[int]:
    """The folds of one block, in the order in which its patients receive them."""
    rng = np.random.default_rng([seed, *sex.encode(), block])
    return [int(fold) for fold in rng.permutation(count)]
