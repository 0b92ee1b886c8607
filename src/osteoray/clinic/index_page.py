"""The clinic folder's front page: all patients with their state, to search and to sort, in one HTML file."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from osteoray.clinic.record import SIDES, Measurement, Model, Patient, counts
from osteoray.clinic.wording import DISCLAIMER, QUANTITY, STATES, TITLE


def index_page(patients: Sequence[Patient], model: Model, site: str) -> str:
    """Render the page; links are relative to the clinic folder."""
    environment = Environment(
        loader=PackageLoader("osteoray.clinic"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("index.html").render(
        title=TITLE,
        site=site,
        quantity=QUANTITY,
        disclaimer=DISCLAIMER,
        states=STATES,
        counts=counts(patients),
        model=model,
        rows=[_row(patient) for patient in patients],
    )


def _row(patient: Patient) -> dict:
    hips = [_hip(patient.chosen(side)) for side in SIDES]
    return {
        "patient_id": patient.patient_id,
        "sex": patient.sex,
        "age": f"{patient.age_years:.0f}",
        "hips": hips,
        "state": str(patient.verdict),
        "codes": list(dict.fromkeys(remark.code for remark in patient.reasons)),
        "meanings": " ".join(dict.fromkeys(remark.meaning for remark in patient.reasons)),
    }


def _hip(measurement: Measurement | None) -> tuple[str, str]:
    """Value and interval, or why there is none."""
    if measurement is None or measurement.estimate is None:
        return "–", "no value"
    estimate = measurement.estimate
    return f"{estimate.value_g_cm2:.3f}", f"{estimate.low_g_cm2:.2f} to {estimate.high_g_cm2:.2f}"
