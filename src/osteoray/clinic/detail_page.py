"""Page 2: every measurement, every remark, the other X-rays, and what the method can and cannot do."""

from __future__ import annotations

from collections.abc import Sequence

from osteoray.clinic.page_frame import INNER_MM
from osteoray.clinic.pictures import Picture, draw_overlay
from osteoray.clinic.record import SIDES, Model, Patient
from osteoray.clinic.sheet import HEIGHT_MM, INK, MARGIN_MM, MUTED, Sheet
from osteoray.clinic.wording import NOT_MEASURED

_MOST_ROWS, _MOST_REMARKS, _MOST_PICTURES = 12, 9, 4


def draw_detail_page(
    sheet: Sheet, patient: Patient, pictures: Sequence[Picture], model: Model, map_maximum_g_cm2: float
) -> None:
    """Everything between head and foot of page 2.

    Args:
        sheet: the page.
        patient: whose measurements are listed.
        pictures: the X-rays that page 1 does not show.
        model: what computed the values.
        map_maximum_g_cm2: upper end of the colours.
    """
    y_mm = _measurements(sheet, 48, patient)
    y_mm = _remarks(sheet, y_mm + 8, patient)
    y_mm = _other_pictures(sheet, y_mm + 6, pictures, map_maximum_g_cm2)
    _method(sheet, y_mm + 8, model)


def _measurements(sheet: Sheet, y_mm: float, patient: Patient) -> float:
    """Table of every hip on every X-ray; returns where it ends."""
    sheet.heading(MARGIN_MM, y_mm, "All measurements")
    columns = (
        (0, "Hip"),
        (16, "X-ray"),
        (40, "Pose"),
        (60, "aBMD (g/cm²)"),
        (82, "95 % interval"),
        (106, "Area (cm²)"),
        (123, "State"),
    )
    y_mm += 7
    for x_mm, title in columns:
        sheet.text(MARGIN_MM + x_mm, y_mm, title, 7.5, fontweight="bold")
    sheet.rule(y_mm + 1.8, colour=INK)
    rows = sorted(patient.measurements, key=lambda m: SIDES.index(m.side))
    for m in rows[:_MOST_ROWS]:
        y_mm += 5.6
        value = f"{m.estimate.value_g_cm2:.3f}" if m.estimate else "–"
        interval = f"{m.estimate.low_g_cm2:.2f} to {m.estimate.high_g_cm2:.2f}" if m.estimate else "–"
        area = f"{m.area_cm2:.1f}" if m.area_cm2 is not None else "–"
        codes = ", ".join(dict.fromkeys(remark.code for remark in m.remarks))
        state = f"{m.verdict}{': ' + codes if codes else ''}"
        cells = (m.side, m.xray_id, m.pose, value, interval, area, state if len(state) < 34 else state[:32] + " …")
        weight = "bold" if patient.chosen(m.side) is m else "normal"
        for (x_mm, _), cell in zip(columns, cells, strict=True):
            sheet.text(MARGIN_MM + x_mm, y_mm, cell, 7.8, fontweight=weight)
        sheet.rule(y_mm + 1.7)
    note = (
        "Bold: shown on page 1."
        if len(rows) <= _MOST_ROWS
        else f"Bold: shown on page 1. {len(rows)} in all; see report.json."
    )
    sheet.text(MARGIN_MM, y_mm + 6, note if rows else "None.", 7.2, color=MUTED)
    return y_mm + 6


def _remarks(sheet: Sheet, y_mm: float, patient: Patient) -> float:
    sheet.heading(MARGIN_MM, y_mm, "Remarks")
    y_mm += 6
    if not patient.reasons:
        sheet.text(MARGIN_MM, y_mm, "None.", 8)
        return y_mm + 4
    for remark in patient.reasons[:_MOST_REMARKS]:
        place = f"{remark.place}. " if remark.place else ""
        detail = f" Found: {remark.detail}." if remark.detail else ""
        sheet.text(MARGIN_MM, y_mm, remark.code, 7.5, fontweight="bold")
        text = f"{place}{remark.meaning}{detail} {remark.fix}"
        y_mm = sheet.paragraph(MARGIN_MM + 33, y_mm, INNER_MM - 33, text, 7.5, 3) + 1.4
    if len(patient.reasons) > _MOST_REMARKS:
        sheet.text(MARGIN_MM, y_mm, f"{len(patient.reasons) - _MOST_REMARKS} more in report.json", 7.5, color=MUTED)
        y_mm += 4
    return y_mm


def _other_pictures(sheet: Sheet, y_mm: float, pictures: Sequence[Picture], maximum_g_cm2: float) -> float:
    """Small overlays of the X-rays that page 1 does not show, where there is room for them."""
    height_mm = 38.0
    if not pictures or y_mm + height_mm + 55 > HEIGHT_MM - 40:
        return y_mm - 6
    sheet.heading(MARGIN_MM, y_mm, "Other X-rays")
    for index, picture in enumerate(pictures[:_MOST_PICTURES]):
        x_mm = MARGIN_MM + index * 45
        draw_overlay(sheet.axes(x_mm, y_mm + 3, 42, height_mm), picture, maximum_g_cm2, 7)
        sheet.text(x_mm, y_mm + height_mm + 6, f"{picture.xray_id} ({picture.pose})", 7, color=MUTED)
    return y_mm + height_mm + 6


def _method(sheet: Sheet, y_mm: float, model: Model) -> None:
    sheet.heading(MARGIN_MM, y_mm, "Method and limits")
    y_mm += 6
    precision = (
        model.precision.sentence if model.precision else "Precision is unknown: the cohort has no repeated X-rays."
    )
    method = (
        "A network predicts the areal density of the proximal femur at every pixel of the X-ray; aBMD is the mean "
        "over the bone. The interval holds the QCT value of a new patient of the same population, X-ray system and "
        "pose with the stated confidence; it is not valid elsewhere."
    )
    entries = (
        ("Method", method),
        ("Accuracy", model.accuracy),
        ("Precision", precision),
        ("Trained on", model.training_population),
        ("Not measured", NOT_MEASURED),
        ("Model", f"{model.name}, {model.version}"),
    )
    for name, text in entries:
        sheet.text(MARGIN_MM, y_mm, name, 7.5, fontweight="bold")
        y_mm = sheet.paragraph(MARGIN_MM + 24, y_mm, INNER_MM - 24, text, 7.5, 4) + 1.2
