"""The statistics of an experiment: rows of the tables of agreement, precision, image quality and significance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float

from osteoray.statistics.agreement import agreement, bland_altman, fisher_icc, pearson, standard_error_of_estimate
from osteoray.statistics.bootstrap import patient_bootstrap
from osteoray.statistics.precision import precision
from osteoray.statistics.significance import compare_models

REFERENCES = {"qct_abmd": "qct_abmd_g_cm2", "map_bmd": "map_bmd_g_cm2", "dxa_bmd": "dxa_bmd_g_cm2"}
"""What predictions are compared with, and the column that holds it."""

QUALITIES = ("psnr_db", "ssim", "psnr_roi_db", "ssim_roi", "psnr_mask_db")
"""Columns of image quality."""

_KEYS = ("task", "backbone", "size")
AGREEMENT_COLUMNS = (
    *(*_KEYS, "reference", "subset", "xrays", "patients", "withheld", "empty"),
    *("pcc", "pcc_low", "pcc_high", "icc", "icc_low", "icc_high", "icc_a1"),
    *("mae_g_cm2", "mae_low_g_cm2", "mae_high_g_cm2", "mae_sd_g_cm2", "see_g_cm2", "see_low_g_cm2", "see_high_g_cm2"),
    *("bias_g_cm2", "bias_low_g_cm2", "bias_high_g_cm2", "loa_low_g_cm2", "loa_high_g_cm2", "slope"),
)
PRECISION_COLUMNS = (
    *(*_KEYS, "hips", "patients", "degrees_of_freedom", "rms_cv_percent", "mean_cv_percent", "sd_cv_percent"),
    *("precision_error_g_cm2", "lsc_g_cm2", "lsc_percent"),
)
IMAGE_QUALITY_COLUMNS = (*_KEYS, "xrays", *(f"{q}_{s}" for q in QUALITIES for s in ("mean", "sd")))
SIGNIFICANCE_COLUMNS = (
    *("reference", "test", "first", "second", "patients", "difference_g_cm2", "statistic", "degrees_of_freedom"),
    *("p", "p_holm"),
)


@dataclass(frozen=True, eq=False)
class Experiment:
    """The held-out half X-rays of one experiment.

    Attributes:
        task: pretraining task.
        backbone: encoder.
        size: image height in pixels.
        patient_ids: per half X-ray.
        xray_ids: per half X-ray.
        sides: per half X-ray.
        verdicts: per half X-ray.
        columns: numbers per half X-ray, NaN where absent.
    """

    task: str
    backbone: str
    size: str
    patient_ids: tuple[str, ...]
    xray_ids: tuple[str, ...]
    sides: tuple[str, ...]
    verdicts: tuple[str, ...]
    columns: dict[str, Float[np.ndarray, " n"]]

    @property
    def keys(self) -> dict[str, str]:
        """What names the experiment."""
        return {"task": self.task, "backbone": self.backbone, "size": self.size}

    @property
    def name(self) -> str:
        """The experiment in one word."""
        return f"{self.task}/{self.backbone}/{self.size}"

    @property
    def predicted_g_cm2(self) -> Float[np.ndarray, " n"]:
        """Predicted BMD; 0 where the predicted map is empty."""
        return self.columns["predicted_bmd_g_cm2"]


def agreement_rows(experiment: Experiment, resamples: int, confidence: float, seed: int) -> list[dict]:
    """Agreement with each reference, over all X-rays and, if some are withheld, over those kept."""
    rows = []
    kept = np.array([verdict != "withheld" for verdict in experiment.verdicts], bool)
    for reference, column in REFERENCES.items():
        known = np.isfinite(experiment.columns[column] + experiment.predicted_g_cm2)
        subsets = {"all": known} if (kept | ~known).all() else {"all": known, "kept": known & kept}
        for subset, use in subsets.items():
            if use.sum() < 3:
                continue
            counts = {
                "xrays": int(use.sum()),
                "patients": len({p for p, used in zip(experiment.patient_ids, use, strict=True) if used}),
                "withheld": int((use & ~kept).sum()),
                "empty": int((use & (experiment.predicted_g_cm2 == 0)).sum()),
            }
            statistics = _agreement(experiment, column, use, resamples, confidence, np.random.default_rng(seed))
            rows.append({**experiment.keys, "reference": reference, "subset": subset, **counts, **statistics})
    return rows


def _agreement(
    experiment: Experiment, column: str, use: np.ndarray, resamples: int, confidence: float, rng: np.random.Generator
) -> dict[str, float]:
    predicted, reference = experiment.predicted_g_cm2[use], experiment.columns[column][use]
    patient_ids = [p for p, used in zip(experiment.patient_ids, use, strict=True) if used]
    low, high = patient_bootstrap(_resampled, predicted, reference, patient_ids, resamples, confidence, rng)
    result = asdict(agreement(predicted, reference))
    names = (("pcc", ""), ("icc", ""), ("mae", "_g_cm2"), ("see", "_g_cm2"), ("bias", "_g_cm2"))
    for index, (name, unit) in enumerate(names):
        result |= {f"{name}_low{unit}": float(low[index]), f"{name}_high{unit}": float(high[index])}
    return result


def _resampled(predicted: Float[np.ndarray, " n"], reference: Float[np.ndarray, " n"]) -> tuple[float, ...]:
    """The statistics that get an interval."""
    return (
        pearson(predicted, reference),
        fisher_icc(predicted, reference),
        float(np.abs(predicted - reference).mean()),
        standard_error_of_estimate(predicted, reference),
        bland_altman(predicted, reference).bias,
    )


def precision_rows(experiment: Experiment) -> list[dict]:
    """Precision over repeated X-rays; no row without repeats."""
    use = np.isfinite(experiment.predicted_g_cm2)
    patient_ids = [p for p, used in zip(experiment.patient_ids, use, strict=True) if used]
    sides = [s for s, used in zip(experiment.sides, use, strict=True) if used]
    found = precision(experiment.predicted_g_cm2[use], patient_ids, sides)
    return [{**experiment.keys, **asdict(found)}] if found else []


def image_quality_row(experiment: Experiment) -> dict:
    """Mean and standard deviation over X-rays of each quality."""
    row: dict = {**experiment.keys, "xrays": int(np.isfinite(experiment.columns["psnr_db"]).sum())}
    for quality in QUALITIES:
        values = experiment.columns[quality]
        values = values[np.isfinite(values)]
        row[f"{quality}_mean"] = float(values.mean()) if values.size else float("nan")
        row[f"{quality}_sd"] = float(values.std(ddof=1)) if values.size > 1 else float("nan")
    return row


def significance_rows(experiments: Sequence[Experiment]) -> Iterable[dict]:
    """Whether the experiments differ in absolute error, per reference."""
    for reference, column in REFERENCES.items():
        per_model = [_patient_errors(experiment, column) for experiment in experiments]
        everyone = sorted(set.intersection(*map(set, per_model))) if per_model else []
        if everyone:
            errors = np.array([[errors[p] for errors in per_model] for p in everyone])
            for comparison in compare_models(errors, [experiment.name for experiment in experiments]):
                yield {"reference": reference, **asdict(comparison)}


def _patient_errors(experiment: Experiment, column: str) -> dict[str, float]:
    """Each patient's mean absolute error."""
    error = np.abs(experiment.predicted_g_cm2 - experiment.columns[column])
    found: dict[str, list[float]] = {}
    for patient_id, value in zip(experiment.patient_ids, error, strict=True):
        if np.isfinite(value):
            found.setdefault(patient_id, []).append(float(value))
    return {patient_id: float(np.mean(values)) for patient_id, values in found.items()}
