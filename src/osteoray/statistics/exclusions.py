"""Who or what was left out or flagged, at which stage, why, and how to mend it: one row per finding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, runtime_checkable

from osteoray.errors.codes import REASONS
from osteoray.errors.verdict import Finding

COLUMNS = ("patient_id", "xray_id", "side", "stage", "code", "verdict", "detail", "fix")


@runtime_checkable
class StageRecord(Protocol):
    """What a stage says of one patient."""

    stage: str
    patient_id: str
    findings: list[Finding]
    facts: dict
    blocked_by: str | None


def exclusion_rows(records: Iterable[StageRecord], problems: Iterable[Mapping[str, str]] = ()) -> list[dict]:
    """Rows of the table, those of the cohort tables first, then in the order of the records.

    A patient whom an earlier stage withheld appears with that stage alone: the later stages had nothing to look at.

    Args:
        records: manifests of all stages.
        problems: rows of the cohort tables that are not used: patient_id, xray_id, code, detail.
    """
    rows = []
    for problem in problems:
        finding = Finding(problem["code"], problem["detail"], problem["xray_id"] or None)
        rows.append(finding_row(problem["patient_id"], "cohort", finding))
    for record in records:
        if record.blocked_by is None:
            rows += [finding_row(record.patient_id, record.stage, finding) for finding in record.findings]
    return rows


def read_out_rows(bmd: Iterable[Mapping[str, str]]) -> list[dict]:
    """Rows for the findings of reading BMD off a predicted map.

    Args:
        bmd: rows of bmd.tsv, with the codes of each value separated by spaces.
    """
    rows = []
    for value in bmd:
        numbers = f"predicted {value['predicted_bmd_g_cm2'] or 'no'} g/cm² over {value['area_cm2'] or 'no'} cm²"
        for code in value["codes"].split():
            finding = Finding(code, numbers, value["xray_id"], value["side"])
            rows.append(finding_row(value["patient_id"], "densitometry", finding))
    return rows


def finding_row(patient_id: str, stage: str, finding: Finding) -> dict:
    """One finding as a row."""
    return {
        "patient_id": patient_id,
        "xray_id": finding.xray_id,
        "side": finding.side,
        "stage": stage,
        "code": finding.code,
        "verdict": finding.verdict.value,
        "detail": " ".join(finding.detail.split()),
        "fix": REASONS[finding.code].fix,
    }
