"""The patient's report: a page with the result, and a page with every measurement and its limits."""

from __future__ import annotations

from collections.abc import Sequence

from osteoray.clinic.chart import ReferenceLines
from osteoray.clinic.detail_page import draw_detail_page
from osteoray.clinic.page_frame import draw_foot, draw_head
from osteoray.clinic.pictures import Picture
from osteoray.clinic.record import SIDES, Model, Patient
from osteoray.clinic.result_page import draw_result_page
from osteoray.clinic.sheet import Sheet, pdf_bytes
from osteoray.clinic.wording import TITLE


def patient_pdf(
    patient: Patient,
    pictures: Sequence[Picture],
    cohort: Sequence[tuple[float, float]],
    lines: ReferenceLines | None,
    model: Model,
    site: str,
    map_maximum_g_cm2: float,
) -> bytes:
    """Both pages as PDF.

    Args:
        patient: what to report.
        pictures: the patient's X-rays with their maps.
        cohort: age and QCT aBMD of other hips.
        lines: reference lines; used only with DXA-equivalent values.
        model: what computed the values.
        site: printed at the top.
        map_maximum_g_cm2: upper end of the colour bar.
    """
    first, second = Sheet(), Sheet()
    for page, sheet in enumerate((first, second), start=1):
        draw_head(sheet, patient, site, page)
        draw_foot(sheet, model)
    main = _main_picture(patient, pictures)
    draw_result_page(first, patient, main, cohort, lines, map_maximum_g_cm2)
    others = [picture for picture in pictures if picture is not main]
    draw_detail_page(second, patient, others, model, map_maximum_g_cm2)
    return pdf_bytes([first, second], f"{TITLE}: {patient.patient_id}")


def _main_picture(patient: Patient, pictures: Sequence[Picture]) -> Picture | None:
    """The X-ray that most of the handed-over values come from."""
    used = [m.xray_id for side in SIDES if (m := patient.chosen(side)) and m.estimate]
    return max(pictures, key=lambda picture: used.count(picture.xray_id), default=None)
