"""Page 1: the result of each hip, the X-ray with the map, where the values lie, and the quality control."""

from __future__ import annotations

from collections.abc import Sequence

from osteoray.clinic.chart import ReferenceLines, draw_cohort_chart, draw_reference_chart
from osteoray.clinic.page_frame import INNER_MM, STATE_COLOURS, draw_state
from osteoray.clinic.pictures import Picture, draw_overlay, draw_xray
from osteoray.clinic.record import SIDES, Measurement, Patient, Qct
from osteoray.clinic.sheet import MARGIN_MM, MUTED, Sheet
from osteoray.clinic.wording import STATES, no_t_score, qct_in_words


def draw_result_page(
    sheet: Sheet,
    patient: Patient,
    picture: Picture | None,
    cohort: Sequence[tuple[float, float]],
    lines: ReferenceLines | None,
    map_maximum_g_cm2: float,
) -> None:
    """Everything between head and foot of page 1."""
    for index, side in enumerate(SIDES):
        _hip(sheet, MARGIN_MM + index * (INNER_MM + 6) / 2, 45, (INNER_MM - 6) / 2, patient, side)
    _images(sheet, 104, picture, map_maximum_g_cm2)
    _chart(sheet, 196, patient, cohort, lines)
    _quality(sheet, 196, patient)


def _hip(sheet: Sheet, x_mm: float, y_mm: float, width_mm: float, patient: Patient, side: str) -> None:
    """The card of one hip: number with interval, or no number with the reason."""
    sheet.box(x_mm, y_mm, width_mm, 53)
    inner, right = x_mm + 5, x_mm + width_mm - 5
    sheet.text(inner, y_mm + 8, f"{side.capitalize()} hip", 11, fontweight="bold")
    chosen = patient.chosen(side)
    draw_state(sheet, right, y_mm + 8, str(chosen.verdict) if chosen else "withheld")
    if chosen is None or chosen.estimate is None:
        sheet.text(inner, y_mm + 21, "No value", 17, color=MUTED)
        reasons = [r for r in (chosen.remarks if chosen else patient.remarks) if r.verdict == "withheld"]
        line = y_mm + 28
        for reason in reasons[:2]:
            line = sheet.paragraph(inner, line, width_mm - 10, f"{reason.meaning} ({reason.code})", 8, 2)
        if not reasons:
            sheet.paragraph(inner, line, width_mm - 10, "No X-ray shows this hip.", 8)
    else:
        estimate = chosen.estimate
        sheet.text(inner, y_mm + 21, f"{estimate.value_g_cm2:.3f}", 22, fontweight="bold")
        sheet.text(inner + 28, y_mm + 21, "g/cm²", 10)
        interval = f"95 % interval  {estimate.low_g_cm2:.2f} to {estimate.high_g_cm2:.2f} g/cm²"
        sheet.text(inner, y_mm + 27.5, interval, 9)
        source = f"aBMD on the scale of QCT, from X-ray {chosen.xray_id} ({chosen.pose})"
        sheet.paragraph(inner, y_mm + 32.8, width_mm - 10, source, 7.5, 1, color=MUTED)
        _t_score(sheet, inner, y_mm + 37.5, width_mm - 10, chosen, patient.qct.get(side))
    sheet.text(inner, y_mm + 50, qct_in_words(patient.qct.get(side)), 8.5)


def _t_score(sheet: Sheet, x_mm: float, y_mm: float, width_mm: float, chosen: Measurement, qct: Qct | None) -> None:
    t_score = chosen.t_score
    if t_score is None or chosen.dxa is None:
        sheet.paragraph(x_mm, y_mm, width_mm, no_t_score(qct), 6.8, 3, color=MUTED)
        return
    probability = 100 * t_score.probability_osteoporosis
    text = (
        f"Estimated T-score {t_score.value:+.1f} (95 % {t_score.low:+.1f} to {t_score.high:+.1f}) from a "
        f"DXA-equivalent BMD of {chosen.dxa.value_g_cm2:.3f} g/cm²; P(T ≤ −2.5) = {probability:.0f} %. "
        f"Reference: {t_score.reference}."
    )
    sheet.paragraph(x_mm, y_mm, width_mm, text, 6.8, 4, color=MUTED)


def _images(sheet: Sheet, y_mm: float, picture: Picture | None, maximum_g_cm2: float) -> None:
    sheet.heading(MARGIN_MM, y_mm + 3, "X-ray" if picture is None else f"X-ray {picture.xray_id} ({picture.pose})")
    if picture is None:
        sheet.paragraph(MARGIN_MM, y_mm + 12, INNER_MM, "No usable X-ray.", 8.5, color=MUTED)
        return
    width_mm, height_mm = 76.0, 78.0
    draw_xray(sheet.axes(MARGIN_MM, y_mm + 6, width_mm, height_mm), picture)
    ax = sheet.axes(MARGIN_MM + 92, y_mm + 6, width_mm, height_mm)
    shown = draw_overlay(ax, picture, maximum_g_cm2)
    sheet.heading(MARGIN_MM + 92, y_mm + 3, "Predicted bone density map")
    if shown is None:
        text = "No map is shown, because no value is reported from this X-ray."
        sheet.text(MARGIN_MM + 92, y_mm + 88, text, 7.5, color=MUTED)
        return
    bar = sheet.axes(MARGIN_MM + 92 + _picture_width_mm(picture, width_mm, height_mm) + 3, y_mm + 12, 2.8, 55)
    sheet.figure.colorbar(shown, cax=bar)
    bar.tick_params(labelsize=6.5, length=2)
    bar.set_title("g/cm²", fontsize=6.5, pad=7, loc="left")


def _picture_width_mm(picture: Picture, width_mm: float, height_mm: float) -> float:
    """Width that the X-ray fills in a box of this size."""
    rows, columns = picture.shape
    return min(width_mm, height_mm * columns / rows)


def _chart(
    sheet: Sheet, y_mm: float, patient: Patient, cohort: Sequence[tuple[float, float]], lines: ReferenceLines | None
) -> None:
    chosen = {side: m for side in SIDES if (m := patient.chosen(side)) and m.estimate}
    dxa = {side: m.dxa for side, m in chosen.items() if m.dxa}
    ax = sheet.axes(MARGIN_MM + 12, y_mm + 7, 70, 38)
    if dxa and lines is not None:
        sheet.heading(MARGIN_MM, y_mm + 3, "Against the DXA reference")
        draw_reference_chart(ax, lines, patient.age_years, dxa)
        note = f"Lines: {lines.name}. Values are DXA-equivalents estimated from the X-ray."
    else:
        sheet.heading(MARGIN_MM, y_mm + 3, "Among the cohort")
        draw_cohort_chart(ax, cohort, patient.age_years, {side: m.estimate for side, m in chosen.items() if m.estimate})
        note = "One scale for dots and values. The cohort is no reference population; DXA reference lines do not apply."
    sheet.paragraph(MARGIN_MM, y_mm + 65, 84, note, 6.5, 2, color=MUTED)


def _quality(sheet: Sheet, y_mm: float, patient: Patient) -> None:
    x_mm, width_mm = MARGIN_MM + 92, INNER_MM - 92
    sheet.heading(x_mm, y_mm + 3, "Quality control")
    state = str(patient.verdict)
    fill, ink = STATE_COLOURS[state]
    sheet.box(x_mm, y_mm + 6, width_mm, 9, fill)
    sheet.paragraph(x_mm + 3, y_mm + 11.8, width_mm - 6, f"{state.capitalize()}: {STATES[state]}", 7.3, 1, color=ink)
    y_mm += 21
    shown = sorted(patient.reasons, key=lambda r: r.verdict != "withheld")
    if not shown:
        sheet.paragraph(x_mm, y_mm, width_mm, "No remark on X-rays, CT or maps.", 8)
    for remark in shown[:4]:
        place = f" {remark.place}:" if remark.place else ""
        y_mm = sheet.paragraph(x_mm, y_mm, width_mm, f"{remark.code}:{place} {remark.meaning}", 7.6, 2) + 1.2
    if len(shown) > 4:
        sheet.text(x_mm, y_mm, f"{len(shown) - 4} more on page 2", 7.5, color=MUTED)
