"""The numbers by which each stage of measurement is judged, per patient: one row per quantity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from osteoray.statistics.exclusions import StageRecord

COLUMNS = ("patient_id", "stage", "xray_id", "side", "quantity", "value")


def stage_rows(records: Iterable[StageRecord]) -> list[dict]:
    """Quantities of calibration, segmentation, registration and QCT densitometry; their names carry the units."""
    gatherers = {
        "calibration": _calibration,
        "segmentation": _segmentation,
        "registration": _registration,
        "densitometry": _densitometry,
    }
    rows = []
    for record in records:
        if record.stage in gatherers and record.facts:
            for xray_id, side, quantity, value in gatherers[record.stage](record.facts):
                place = {"patient_id": record.patient_id, "stage": record.stage, "xray_id": xray_id, "side": side}
                rows.append({**place, "quantity": quantity, "value": float(value)})
    return rows


_Quantities = Iterator[tuple[str, str, str, float]]


def _calibration(facts: dict) -> _Quantities:
    for quantity in ("slope_mg_cm3_per_hu", "intercept_mg_cm3", "r2"):
        if facts.get(quantity) is not None:
            yield "", "", quantity, facts[quantity]
    residuals = [abs(rod["residual_mg_cm3"]) for rod in facts.get("rods", []) if rod.get("residual_mg_cm3") is not None]
    if residuals:
        yield "", "", "max_residual_mg_cm3", max(residuals)


def _segmentation(facts: dict) -> _Quantities:
    for name, volume_cm3 in _numbers("", facts.get("volumes_cm3", {})):
        yield "", "", f"volume_{name}_cm3", volume_cm3
    for name, value in _numbers("doubt", facts.get("doubt")):
        yield "", "", name, value


def _registration(facts: dict) -> _Quantities:
    for xray_id, xray in facts.get("xrays", {}).items():
        for quantity in ("similarity", "z", "agreement_mm"):
            for name, value in _numbers(quantity, xray.get(quantity)):
                yield xray_id, "", name, value


def _densitometry(facts: dict) -> _Quantities:
    for side in ("left", "right"):
        for quantity in ("abmd_g_cm2", "vbmd_mg_cm3", "area_cm2"):
            if facts.get(side, {}).get(quantity) is not None:
                yield "", side, quantity, facts[side][quantity]


def _numbers(name: str, value: object) -> Iterator[tuple[str, float]]:
    """A number, or the numbers of a dictionary with their keys joined to the name."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(f"{name}_{key}" if name else str(key), item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, float(value)
