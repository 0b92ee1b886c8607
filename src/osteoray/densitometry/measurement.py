"""Cross-fitted BMD of every half X-ray: each fold's read-out and interval come from the other folds alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from osteoray.densitometry.interval import half_width
from osteoray.densitometry.line import fit_line
from osteoray.densitometry.readout import ReadOut, ThresholdCurve, fit_read_out
from osteoray.errors.verdict import Finding, Verdict, worst


@dataclass(frozen=True, eq=False)
class HalfXray:
    """What is known of a half X-ray before its BMD is read.

    Attributes:
        patient_id: the patient.
        xray_id: the X-ray.
        side: left or right hip of the patient.
        fold: the fold that held the patient out; None for a patient outside the release.
        predicted: sweep of the predicted map.
        reference: sweep of the reference map, if the patient has one.
        pixel_cm2: area of a pixel of the half X-ray at the bone.
        qct_g_cm2: QCT aBMD of this hip; NaN if unknown.
        dxa_g_cm2: DXA BMD of this hip; NaN if unknown.
        qct_level: what calibrated the QCT of this hip; empty if it has none.
    """

    patient_id: str
    xray_id: str
    side: str
    fold: int | None
    predicted: ThresholdCurve
    reference: ThresholdCurve | None
    pixel_cm2: float
    qct_g_cm2: float
    dxa_g_cm2: float
    qct_level: str = ""

    @property
    def is_uncalibrated(self) -> bool:
        """Whether its QCT was not calibrated at all: then it is no way to the scale of DXA, and so to a T-score."""
        return self.qct_level == "none"


@dataclass(frozen=True)
class Settings:
    """How BMD is read, as in `DensitometryConfig`."""

    thresholds_g_cm2: tuple[float, ...]
    fallback_g_cm2: float
    to_scale: bool
    minimum_training_maps: int
    confidence: float
    minimum_interval_patients: int
    minimum_dxa_patients: int
    plausible_area_cm2: tuple[float, float]
    plausible_bmd_g_cm2: tuple[float, float]


@dataclass(frozen=True)
class Bmd:
    """The BMD of a half X-ray; NaN where a number is absent.

    Attributes:
        value_g_cm2: BMD on the scale of QCT aBMD; 0 for an empty map.
        half_width_g_cm2: of its interval.
        map_g_cm2: the same read-out of the reference map.
        area_cm2: area of the predicted bone, at the bone.
        dxa_g_cm2: DXA-equivalent BMD; NaN also for a hip whose QCT was not calibrated.
        dxa_half_width_g_cm2: of its interval.
        read_out: threshold and line.
        findings: why the value is withheld or carries a warning.
    """

    value_g_cm2: float
    half_width_g_cm2: float
    map_g_cm2: float
    area_cm2: float
    dxa_g_cm2: float
    dxa_half_width_g_cm2: float
    read_out: ReadOut
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """Reported, warning or withheld."""
        return worst(list(self.findings))


def measure(halves: Sequence[HalfXray], settings: Settings) -> list[Bmd]:
    """Read the BMD of every half X-ray.

    The read-out of a fold is fitted on the reference maps of the other folds; the interval comes from the errors that
    the other folds made on their own held-out patients. Patients outside the release get both from all folds.
    """
    read_outs = {fold: _read_out(_others(halves, fold), settings) for fold in {half.fold for half in halves}}
    values = np.array([_value(half.predicted, read_outs[half.fold], settings)[0] for half in halves])
    spread, dxa = {}, {}
    for fold in read_outs:
        other = np.array([half.fold is not None and half.fold != fold for half in halves], bool)
        spread[fold] = _half_width(halves, values, other, settings)
        dxa[fold] = _dxa_line(halves, values, other, settings)
    measured = []
    for half, value in zip(halves, values, strict=True):
        read_out = read_outs[half.fold]
        area_cm2 = _value(half.predicted, read_out, settings)[1] * half.pixel_cm2
        line, dxa_half_width = dxa[half.fold]
        measured.append(
            Bmd(
                float(value),
                spread[half.fold],
                _value(half.reference, read_out, settings)[0] if half.reference else float("nan"),
                area_cm2,
                float(line(value)) if line and not half.is_uncalibrated else float("nan"),
                dxa_half_width,
                read_out,
                _findings(half, float(value), area_cm2, spread[half.fold], settings),
            )
        )
    return measured


def _others(halves: Sequence[HalfXray], fold: int | None) -> list[HalfXray]:
    return [half for half in halves if half.fold is not None and half.fold != fold]


def _read_out(training: list[HalfXray], settings: Settings) -> ReadOut:
    known = [half for half in training if half.reference and np.isfinite(half.qct_g_cm2)]
    fallback = ReadOut(settings.fallback_g_cm2)
    if len(known) < settings.minimum_training_maps:
        return fallback
    try:
        return fit_read_out(
            np.stack([half.reference.mean_g_cm2 for half in known if half.reference]),
            np.array(settings.thresholds_g_cm2),
            np.array([half.qct_g_cm2 for half in known]),
            settings.to_scale,
        )
    except ValueError:
        # A cohort without any spread of BMD (a test, a calibration run) still gets the threshold of the config.
        return fallback


def _value(curve: ThresholdCurve, read_out: ReadOut, settings: Settings) -> tuple[float, int]:
    """BMD and number of bone pixels; an empty map has BMD 0 (Gu 2024)."""
    index = settings.thresholds_g_cm2.index(read_out.threshold_g_cm2)
    pixels = int(curve.pixels[index])
    return (float(read_out.line(curve.mean_g_cm2[index])) if pixels else 0.0), pixels


def _half_width(halves: Sequence[HalfXray], values: np.ndarray, other: np.ndarray, settings: Settings) -> float:
    truth = np.array([half.qct_g_cm2 for half in halves])
    use = other & np.isfinite(truth) & (values > 0)
    patients = [half.patient_id for half, used in zip(halves, use, strict=True) if used]
    if len(set(patients)) < settings.minimum_interval_patients:
        return float("nan")
    return half_width((values - truth)[use], patients, settings.confidence)


def _dxa_line(halves: Sequence[HalfXray], values: np.ndarray, other: np.ndarray, settings: Settings):
    """The line from predicted BMD to DXA, fitted on held-out predictions, and the half width around it."""
    truth = np.array([float("nan") if half.is_uncalibrated else half.dxa_g_cm2 for half in halves])
    use = other & np.isfinite(truth) & (values > 0)
    patients = [half.patient_id for half, used in zip(halves, use, strict=True) if used]
    if len(set(patients)) < settings.minimum_dxa_patients:
        return None, float("nan")
    line = fit_line(values[use], truth[use])
    return line, half_width(line(values[use]) - truth[use], patients, settings.confidence, fitted=2)


def _findings(
    half: HalfXray, value_g_cm2: float, area_cm2: float, half_width_g_cm2: float, settings: Settings
) -> tuple[Finding, ...]:
    place = {"xray_id": half.xray_id, "side": half.side}
    if area_cm2 == 0:
        return (Finding("BMD-EMPTY", "no pixel of the predicted map is above the threshold", **place),)
    findings = []
    low, high = settings.plausible_area_cm2
    if not low <= area_cm2 <= high:
        findings.append(Finding("BMD-AREA", f"expected {low:g} to {high:g} cm², got {area_cm2:.1f}", **place))
    low, high = settings.plausible_bmd_g_cm2
    if not low <= value_g_cm2 <= high:
        findings.append(Finding("BMD-RANGE", f"expected {low:g} to {high:g} g/cm², got {value_g_cm2:.3f}", **place))
    if not np.isfinite(half_width_g_cm2):
        minimum = settings.minimum_interval_patients
        findings.append(Finding("BMD-INTERVAL", f"fewer than {minimum} other patients with QCT", **place))
    return tuple(findings)
