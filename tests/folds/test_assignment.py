"""Folds are balanced within sex, reproducible, and nobody moves when patients are appended."""

from __future__ import annotations

import json
import runpy
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osteoray.folds.assignment import assign_folds

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
cohorts = st.lists(st.sampled_from("FM"), max_size=60)
counts = st.integers(2, 7)
seeds = st.integers(0, 2**31)


@given(cohorts, cohorts, counts, seeds)
def test_appending_patients_moves_nobody(first: list[str], later: list[str], count: int, seed: int) -> None:
    assert assign_folds(first + later, count, seed)[: len(first)] == assign_folds(first, count, seed)


@given(cohorts, counts, seeds)
def test_folds_differ_by_at_most_one_patient_of_each_sex(sexes: list[str], count: int, seed: int) -> None:
    folds = assign_folds(sexes, count, seed)
    assert set(folds) <= set(range(count))
    for sex in "FM":
        sizes = Counter(fold for fold, s in zip(folds, sexes, strict=True) if s == sex)
        assert max(sizes.values(), default=0) - min(sizes[k] for k in range(count)) <= 1


@given(counts, seeds)
def test_every_block_of_one_sex_is_a_permutation(count: int, seed: int) -> None:
    folds = assign_folds(["F"] * (3 * count), count, seed)
    for block in range(3):
        assert sorted(folds[block * count : (block + 1) * count]) == list(range(count))


@given(cohorts, counts, seeds)
def test_the_other_sex_does_not_move_a_patient(sexes: list[str], count: int, seed: int) -> None:
    folds = assign_folds(sexes, count, seed)
    women = [fold for fold, s in zip(folds, sexes, strict=True) if s == "F"]
    assert women == assign_folds(["F"] * len(women), count, seed)


def test_blocks_and_seeds_differ() -> None:
    assert len({tuple(assign_folds(["F"] * 4, 4, seed)) for seed in range(20)}) > 5
    folds = assign_folds(["F"] * 40, 4, 0)
    assert len({tuple(folds[i : i + 4]) for i in range(0, 40, 4)}) > 3


def test_one_fold_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 folds, got 1"):
        assign_folds(["F"], 1, 0)


def test_the_script_writes_one_row_per_patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patients = [["P2", "F"], ["P1", "M"], ["P3", "F"]]
    output = tmp_path / "all.tsv"
    arguments = ["--patients", json.dumps(patients), "--config", '{"count": 2}', "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["assign_folds", *arguments])
    runpy.run_path(str(SCRIPTS / "assign_folds.py"), run_name="__main__")
    lines = output.read_text().splitlines()
    assert lines[0] == "patient_id\tfold"
    assert [line.split("\t")[0] for line in lines[1:]] == ["P2", "P1", "P3"]
    assert {lines[1][-1], lines[3][-1]} == {"0", "1"}
