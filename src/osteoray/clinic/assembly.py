"""From table rows to a patient's record: which findings concern which value, and which numbers are absent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from osteoray.clinic.record import Estimate, Measurement, Patient, Precision, Qct, Remark, TScore
from osteoray.errors.verdict import Verdict

Row = Mapping[str, str]

CT_STAGES = ("calibration", "segmentation", "densitometry", "registration", "projection")
"""Stages that make the reference from the CT; what they find says nothing about a value read off the X-ray."""


def assemble_patient(
    patient_id: str,
    person: Mapping[str, object],
    bmd: Sequence[Row],
    qct: dict[str, Qct],
    exclusions: Sequence[Row],
    t_score: Callable[[Estimate], TScore],
) -> Patient:
    """The record of a patient.

    Args:
        patient_id: the patient.
        person: sex and age_years.
        bmd: the patient's rows of bmd.tsv.
        qct: side to QCT.
        exclusions: the patient's rows of exclusions.tsv.
        t_score: T-score of a DXA-equivalent estimate.
    """
    measurements = tuple(_measurement(row, exclusions, t_score) for row in bmd)
    known = {remark for measurement in measurements for remark in measurement.remarks}
    remarks = tuple(dict.fromkeys(r for r in map(_remark, exclusions) if r not in known))
    return Patient(patient_id, str(person["sex"]), float(str(person["age_years"])), measurements, qct, remarks)


def _measurement(row: Row, exclusions: Sequence[Row], t_score: Callable[[Estimate], TScore]) -> Measurement:
    place = _place(row)
    remarks = [Remark(code, "read-out", place, "") for code in row["codes"].split()]
    remarks += [_remark(finding) for finding in exclusions if _concerns(finding, row)]
    keys = (row["xray_id"], row["side"], row["pose"])
    if any(remark.verdict is Verdict.WITHHELD for remark in remarks):
        return Measurement(*keys, None, None, None, None, tuple(remarks))
    calibrated = row["qct_calibration_level"] != "none"
    dxa = _estimate(row, "dxa_equivalent_g_cm2", "dxa_low_g_cm2", "dxa_high_g_cm2") if calibrated else None
    return Measurement(
        *keys,
        _estimate(row, "predicted_bmd_g_cm2", "low_g_cm2", "high_g_cm2"),
        float(row["area_cm2"]),
        dxa,
        t_score(dxa) if dxa else None,
        tuple(remarks),
    )


def _concerns(finding: Row, row: Row) -> bool:
    """Whether a finding of an earlier stage concerns this hip on this X-ray.

    A pose does, although registration found it: it changes what the X-ray shows. So does metal or a fracture in the
    CT, and a failed registration: it is also how a cropped, mirrored or unusual X-ray shows. What ingest says of the CT
    does not.
    """
    here = finding["xray_id"] in ("", row["xray_id"]) and finding["side"] in ("", row["side"])
    of_ct = finding["stage"] in CT_STAGES or (finding["stage"] == "ingest" and not finding["xray_id"])
    return here and (not of_ct or finding["code"].startswith(("POSE-", "REG-", "SEG-METAL", "SEG-FRACTURE")))


def _estimate(row: Row, value: str, low: str, high: str) -> Estimate | None:
    return Estimate(*(float(row[name]) for name in (value, low, high))) if row[value] else None


def _remark(finding: Row) -> Remark:
    return Remark(finding["code"], finding["stage"], _place(finding), finding["detail"])


def _place(row: Row) -> str:
    """The X-ray and side that a row concerns, in words."""
    return " ".join(filter(None, (row["xray_id"], row["side"])))


def assemble_precision(row: Row, minimum_patients: int) -> Precision:
    """Precision from the row of precision.tsv."""
    patients = int(row["patients"])
    return Precision(patients, float(row["rms_cv_percent"]), float(row["lsc_percent"]), patients < minimum_patients)


def accuracy_sentence(row: Row | None) -> str:
    """Agreement with QCT in one sentence, from the row of agreement.tsv."""
    if row is None or not row["pcc"]:
        return "Accuracy is unknown: too few patients have both an X-ray and QCT."
    bias = f"{float(row['bias_g_cm2']):+.3f}".replace("-", "−")
    return (
        f"Held-out patients ({row['patients']}, {row['xrays']} hip images): correlation with QCT "
        f"{float(row['pcc']):.2f}, mean absolute error {float(row['mae_g_cm2']):.3f} g/cm², bias {bias} g/cm²."
    )
