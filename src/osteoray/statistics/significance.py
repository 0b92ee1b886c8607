"""Whether models differ in absolute error, with the patient as the subject.

A patient's absolute errors are averaged first, because hips and X-rays of a patient are not independent, and only
patients measured by every model take part, because a repeated-measures analysis needs complete blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Comparison:
    """One test.

    Attributes:
        test: "repeated-measures ANOVA" over all models, or "paired t" of two.
        first: the models compared; all of them joined by " | " for the ANOVA.
        second: the other model of a pair; empty for the ANOVA.
        patients: complete blocks.
        difference_g_cm2: mean absolute error of the first minus the second; NaN for the ANOVA.
        statistic: F or t.
        degrees_of_freedom: of the test; "numerator, denominator" for F.
        p: two-sided probability.
        p_holm: the same after Holm's correction over the pairs; NaN for the ANOVA.
    """

    test: str
    first: str
    second: str
    patients: int
    difference_g_cm2: float
    statistic: float
    degrees_of_freedom: str
    p: float
    p_holm: float


def compare_models(absolute_error_g_cm2: Float[np.ndarray, "patients models"], models: list[str]) -> list[Comparison]:
    """ANOVA over all models, then every pair.

    Args:
        absolute_error_g_cm2: mean absolute error of each patient under each model.
        models: names, one per column.

    Returns:
        Nothing with fewer than two models, three patients, or models without any difference.
    """
    patients = len(absolute_error_g_cm2)
    if len(models) < 2 or patients < 3 or np.ptp(absolute_error_g_cm2, axis=1).max() == 0:
        return []
    return [_anova(absolute_error_g_cm2, models), *_pairs(absolute_error_g_cm2, models)]


def _anova(errors: Float[np.ndarray, "patients models"], models: list[str]) -> Comparison:
    import pandas as pd
    from statsmodels.stats.anova import AnovaRM

    patients = len(errors)
    table = pd.DataFrame(
        {
            "patient": np.repeat(np.arange(patients), len(models)),
            "model": np.tile(models, patients),
            "error": errors.ravel(),
        }
    )
    row = AnovaRM(table, "error", "patient", within=["model"]).fit().anova_table.iloc[0]
    freedom = f"{row['Num DF']:g}, {row['Den DF']:g}"
    name, nan = "repeated-measures ANOVA", float("nan")
    return Comparison(
        name, " | ".join(models), "", patients, nan, float(row["F Value"]), freedom, float(row["Pr > F"]), nan
    )


def _pairs(errors: Float[np.ndarray, "patients models"], models: list[str]) -> list[Comparison]:
    from scipy.stats import ttest_rel
    from statsmodels.stats.multitest import multipletests

    tested = []
    for a, b in combinations(range(len(models)), 2):
        if np.ptp(errors[:, a] - errors[:, b]) == 0:
            continue
        result = ttest_rel(errors[:, a], errors[:, b])
        tested.append((a, b, float(result.statistic), float(result.pvalue)))
    if not tested:
        return []
    corrected = multipletests([p for *_, p in tested], method="holm")[1]
    patients = len(errors)
    return [
        Comparison(
            "paired t",
            models[a],
            models[b],
            patients,
            float((errors[:, a] - errors[:, b]).mean()),
            t,
            str(patients - 1),
            p,
            float(p_holm),
        )
        for (a, b, t, p), p_holm in zip(tested, corrected, strict=True)
    ]
