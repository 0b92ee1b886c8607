"""The frame that all pages of a patient's report share: who it is about, and what it must not be used for."""

from __future__ import annotations

from osteoray.clinic.record import Model, Patient
from osteoray.clinic.sheet import ACCENT, HEIGHT_MM, INK, MARGIN_MM, MUTED, RULE, WIDTH_MM, Sheet
from osteoray.clinic.wording import DISCLAIMER, TITLE

INNER_MM = WIDTH_MM - 2 * MARGIN_MM
"""Width between the margins."""

STATE_COLOURS = {
    "reported": ("#e8f5f1", "#00634f"),
    "warning": ("#fff3e0", "#8f4a00"),
    "withheld": ("#eef1f3", "#47525c"),
}
"""Fill and ink of a state."""


def draw_head(sheet: Sheet, patient: Patient, site: str, page: int) -> None:
    """Title, patient and X-rays at the top of a page."""
    sheet.text(MARGIN_MM, 16, site, 9, color=ACCENT, fontweight="bold")
    sheet.text(WIDTH_MM - MARGIN_MM, 16, "RESEARCH USE ONLY", 9, color="#8f4a00", fontweight="bold", ha="right")
    sheet.text(MARGIN_MM, 24.5, TITLE, 15, fontweight="bold")
    sex = {"F": "female", "M": "male"}[patient.sex]
    xrays = dict.fromkeys(f"{m.xray_id} ({m.pose})" for m in patient.measurements)
    who = f"Patient  {patient.patient_id}      {patient.age_years:.0f} years      {sex}"
    sheet.text(MARGIN_MM, 33, who, 10)
    sheet.text(WIDTH_MM - MARGIN_MM, 33, f"Page {page} of 2", 8, color=MUTED, ha="right")
    if xrays:
        text = "X-rays  " + ", ".join(xrays)
        sheet.text(
            MARGIN_MM, 38, text if len(text) < 110 else f"X-rays  {len(xrays)}, listed on page 2", 8, color=MUTED
        )
    sheet.rule(40.5, colour=INK)


def draw_state(sheet: Sheet, x_mm: float, y_mm: float, state: str) -> None:
    """A label with the state, whose right end lies at x."""
    fill, ink = STATE_COLOURS[state]
    sheet.box(x_mm - 21, y_mm - 3.6, 21, 5, fill, ink)
    sheet.text(x_mm - 10.5, y_mm, state, 7.5, color=ink, fontweight="bold", ha="center")


def draw_foot(sheet: Sheet, model: Model) -> None:
    """The disclaimer and the model at the bottom of a page."""
    sheet.rule(HEIGHT_MM - 27, colour=RULE)
    sheet.paragraph(MARGIN_MM, HEIGHT_MM - 22, INNER_MM, DISCLAIMER, 7.3, 4)
    sheet.text(MARGIN_MM, HEIGHT_MM - 8, f"{model.name}, {model.version}", 6.5, color=MUTED)
