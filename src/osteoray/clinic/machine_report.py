"""report.json: the machine-readable twin of the patient's page."""

from __future__ import annotations

from dataclasses import asdict

from osteoray.clinic.record import SIDES, Estimate, Measurement, Model, Patient, Remark
from osteoray.clinic.wording import DISCLAIMER, NO_T_SCORE, QUANTITY

SCHEMA = "osteoray-patient-report/1"


def machine_report(patient: Patient, model: Model) -> dict:
    """The patient's report as JSON values; an absent number is null and has a reason."""
    return {
        "schema": SCHEMA,
        "disclaimer": DISCLAIMER,
        "quantity": QUANTITY,
        "units": {"abmd": "g/cm2", "area": "cm2", "age": "years", "t_score": "{T-score}"},
        "patient": {"patient_id": patient.patient_id, "sex": patient.sex, "age": patient.age_years},
        "status": str(patient.verdict),
        "hips": [_hip(patient, side) for side in SIDES],
        "measurements": [_measurement(measurement) for measurement in patient.measurements],
        "findings": [_remark(remark) for remark in patient.reasons],
        "model": {
            "name": model.name,
            "version": model.version,
            "training_population": model.training_population,
            "accuracy": model.accuracy,
            "interval_percent": model.confidence_percent,
            "precision": asdict(model.precision) if model.precision else None,
        },
    }


def _hip(patient: Patient, side: str) -> dict:
    chosen = patient.chosen(side)
    qct = {"value": patient.qct_g_cm2[side], "unit": "g/cm2", "scale": "QCT"} if side in patient.qct_g_cm2 else None
    return {"side": side, "qct_abmd": qct, "estimate": _measurement(chosen) if chosen else None}


def _measurement(measurement: Measurement) -> dict:
    t_score = {"value": None, "reason": NO_T_SCORE} if measurement.t_score is None else asdict(measurement.t_score)
    return {
        "xray_id": measurement.xray_id,
        "side": measurement.side,
        "pose": measurement.pose,
        "status": str(measurement.verdict),
        "abmd": _estimate(measurement.estimate, "QCT"),
        "abmd_dxa_equivalent": _estimate(measurement.dxa, "DXA"),
        "t_score_estimated": t_score,
        "area": None if measurement.area_cm2 is None else round(measurement.area_cm2, 1),
        "codes": [remark.code for remark in measurement.remarks],
    }


def _estimate(estimate: Estimate | None, scale: str) -> dict | None:
    if estimate is None:
        return None
    numbers = (estimate.value_g_cm2, estimate.low_g_cm2, estimate.high_g_cm2)
    return dict(zip(("value", "low", "high"), (round(n, 3) for n in numbers), strict=True)) | {
        "unit": "g/cm2",
        "scale": scale,
    }


def _remark(remark: Remark) -> dict:
    return {
        "code": remark.code,
        "verdict": str(remark.verdict),
        "stage": remark.stage,
        "concerns": remark.place or "patient",
        "meaning": remark.meaning,
        "detail": remark.detail,
        "fix": remark.fix,
    }
