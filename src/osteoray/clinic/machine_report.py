"""report.json: the machine-readable twin of the patient's page."""

from __future__ import annotations

from dataclasses import asdict

from osteoray.clinic.record import SIDES, Estimate, Measurement, Model, Patient, Qct, Remark
from osteoray.clinic.wording import DISCLAIMER, QCT_LEVELS, QUANTITY, no_t_score

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
        "measurements": [_measurement(m, patient.qct.get(m.side)) for m in patient.measurements],
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
    qct = patient.qct.get(side)
    return {
        "side": side,
        "qct_abmd": _qct(qct) if qct else None,
        "estimate": _measurement(chosen, qct) if chosen else None,
    }


def _qct(qct: Qct) -> dict:
    told = {"calibration_level": qct.level, "calibration": QCT_LEVELS[qct.level] or "calibrated by a phantom"}
    return {"value": qct.value_g_cm2, "unit": "g/cm2", "scale": "QCT"} | told


def _measurement(measurement: Measurement, qct: Qct | None) -> dict:
    absent = {"value": None, "reason": no_t_score(qct)}
    t_score = absent if measurement.t_score is None else asdict(measurement.t_score)
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
