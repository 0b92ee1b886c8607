"""Cross-validation of the network: patients segmented by a network that has not seen them, against their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
from jaxtyping import Float
from scipy import stats

from osteoray.imaging.bones import Bone
from osteoray.segmentation.agreement import Agreement

COLUMNS = (
    "patient_id",
    "fold",
    "bone",
    "dice",
    "asd_mm",
    "hd95_mm",
    "volume_error_percent",
    "doubt",
    "code",
    "detail",
)
"""One row per bone, or one with a code for a patient who cannot be used."""

SUMMARY_COLUMNS = (
    "bone",
    "n",
    "dice_median",
    "dice_min",
    "asd_mm_median",
    "asd_mm_max",
    "hd95_mm_median",
    "volume_error_percent_median",
    "pearson",
    "spearman",
)
"""One row per bone and one of all; the correlations are those of the doubt with the Dice coefficient."""

ALL_BONES = "all"
MIN_CORRELATED = 4
"""Fewer pairs say nothing of a correlation."""


def bone_rows(
    patient_id: str, fold: int, agreements: Mapping[Bone, Agreement], doubt: Mapping[str, float]
) -> list[dict]:
    """Rows of a patient.

    Args:
        patient_id: as in patients.tsv.
        fold: the fold that was held out.
        agreements: by bone.
        doubt: by lower-case name of the bone.
    """
    names = {bone: bone.name.lower() for bone in agreements}
    return [
        {"patient_id": patient_id, "fold": fold, "bone": name} | asdict(agreements[bone]) | {"doubt": doubt.get(name)}
        for bone, name in names.items()
    ]


def summary_rows(rows: Sequence[Mapping[str, float | str]]) -> list[dict]:
    """Median and worst agreement of each bone and of all, and whether doubt foretells it.

    Args:
        rows: of patients who could be used, numbers as numbers and NaN where there is none.
    """
    groups = {bone.name.lower(): [row for row in rows if row["bone"] == bone.name.lower()] for bone in Bone}
    groups[ALL_BONES] = list(rows)
    return [_summary(name, group) for name, group in groups.items() if group]


def _summary(bone: str, rows: Sequence[Mapping[str, float | str]]) -> dict:
    def column(name: str) -> Float[np.ndarray, " n"]:
        return np.array([row[name] for row in rows], float)

    pearson, spearman = correlations(column("doubt"), column("dice"))
    known = {name: column(name)[~np.isnan(column(name))] for name in ("asd_mm", "hd95_mm", "volume_error_percent")}
    return {
        "bone": bone,
        "n": len(rows),
        "dice_median": float(np.median(column("dice"))),
        "dice_min": float(column("dice").min()),
        "asd_mm_median": _median(known["asd_mm"]),
        "asd_mm_max": float(known["asd_mm"].max(initial=-np.inf)) if known["asd_mm"].size else None,
        "hd95_mm_median": _median(known["hd95_mm"]),
        "volume_error_percent_median": _median(known["volume_error_percent"]),
        "pearson": pearson,
        "spearman": spearman,
    }


def correlations(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"]) -> tuple[float | None, float | None]:
    """Pearson's and Spearman's correlation of the pairs without NaN; None where there are too few or no spread."""
    pairs = np.stack([first, second])
    pairs = pairs[:, ~np.isnan(pairs).any(axis=0)]
    if pairs.shape[1] < MIN_CORRELATED or (np.ptp(pairs, axis=1) == 0).any():
        return None, None
    return float(stats.pearsonr(*pairs).statistic), float(stats.spearmanr(*pairs).statistic)


def _median(values: Float[np.ndarray, " n"]) -> float | None:
    return float(np.median(values)) if values.size else None
