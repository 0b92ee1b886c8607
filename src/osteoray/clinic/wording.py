"""Every sentence of the hand-over that must not vary, in one place."""

from __future__ import annotations

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

NOT_MEASURED = (
    "Lumbar spine and femoral neck BMD, T- and Z-scores unless printed, fracture risk, change over time, "
    "fractures, arthritis or any other finding in the image."
)

STATES = {
    "reported": "The values shown passed every check.",
    "warning": "A hip has no value, or a check asks for care.",
    "withheld": "No value is given, and the reason is stated.",
}
