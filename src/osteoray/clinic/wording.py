"""Every sentence of the hand-over that must not vary, in one place."""

from __future__ import annotations

from osteoray.clinic.record import Qct

DISCLAIMER = (
    "Research use only. Not a medical device; not for diagnosis, treatment or monitoring. Estimated from a radiograph "
    "by software; not a DXA measurement. A value in the normal range does not exclude osteoporosis. Decisions need a "
    "DXA examination and clinical assessment."
)

TITLE = "Hip bone density estimated from a radiograph"

QUANTITY = "Areal bone mineral density (aBMD) of the proximal femur, estimated from a plain X-ray, on the scale of QCT"

NO_T_SCORE = (
    "T-score: not given. T-scores exist on the DXA scale only; these values are on the scale of QCT and no calibration "
    "to DXA is available."
)

NO_T_SCORE_UNCALIBRATED = "T-score: not given, because the CT of this hip was not calibrated."

QCT_LEVELS = {
    "phantom": "",
    "asynchronous": "by earlier scans",
    "internal": "calibrated internally",
    "none": "not calibrated",
}
"""What a report says beside a QCT value, by what calibrated it; nothing beside the ordinary."""

NOT_MEASURED = (
    "Lumbar spine and femoral neck BMD, T- and Z-scores unless printed, fracture risk, change over time, "
    "fractures, arthritis or any other finding in the image."
)

STATES = {
    "reported": "The values shown passed every check.",
    "warning": "A hip has no value, or a check asks for care.",
    "withheld": "No value is given, and the reason is stated.",
}


def no_t_score(qct: Qct | None) -> str:
    """Why a hip has no T-score, by its QCT."""
    return NO_T_SCORE_UNCALIBRATED if qct and qct.level == "none" else NO_T_SCORE


def qct_in_words(qct: Qct | None) -> str:
    """QCT aBMD of a hip, with what calibrated it where that was not a phantom in the CT."""
    if qct is None:
        return "QCT aBMD of this hip  not available"
    level = QCT_LEVELS[qct.level]
    if not level:
        return f"QCT aBMD of this hip  {qct.value_g_cm2:.3f} g/cm²"
    return f"QCT aBMD  {qct.value_g_cm2:.3f} g/cm² ({level})"
