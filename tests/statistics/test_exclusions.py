"""Exclusions and stage quality come from manifests as they are."""

from __future__ import annotations

from dataclasses import dataclass, field

from osteoray.errors.verdict import Finding
from osteoray.statistics.exclusions import exclusion_rows
from osteoray.statistics.stage_quality import stage_rows


@dataclass
class Record:
    stage: str
    patient_id: str = "P"
    findings: list[Finding] = field(default_factory=list)
    facts: dict = field(default_factory=dict)
    blocked_by: str | None = None


def test_a_blocked_stage_adds_no_row():
    records = [
        Record("calibration", findings=[Finding("CAL-R2", "r² 0.9")]),
        Record("registration", findings=[Finding("REG-WEAK", "z 1", "X1")], blocked_by="calibration"),
    ]
    rows = exclusion_rows(records)
    assert [(row["stage"], row["code"], row["verdict"]) for row in rows] == [("calibration", "CAL-R2", "withheld")]


def test_rows_of_the_cohort_tables_come_first_and_details_stay_on_one_line():
    problem = {"patient_id": "Q", "xray_id": "X1", "code": "TAB-XRAY", "detail": "line one\n  line two"}
    rows = exclusion_rows([Record("ingest", findings=[Finding("ING-GEOMETRY", "SID", "X1")])], [problem])
    assert [row["stage"] for row in rows] == ["cohort", "ingest"]
    assert rows[0]["detail"] == "line one line two"
    assert rows[1]["verdict"] == "warning"


def test_absent_facts_give_no_quantities():
    assert stage_rows([Record("calibration"), Record("ingest", facts={"ct": {}})]) == []


def test_quantities_carry_side_and_xray():
    facts = {"xrays": {"X2": {"similarity": {"pelvis": 0.6}, "z": None, "agreement_mm": 1}}}
    rows = stage_rows(
        [Record("registration", facts=facts), Record("densitometry", facts={"left": {"abmd_g_cm2": 0.8}})]
    )
    assert [(r["xray_id"], r["side"], r["quantity"], r["value"]) for r in rows] == [
        ("X2", "", "similarity_pelvis", 0.6),
        ("X2", "", "agreement_mm", 1.0),
        ("", "left", "abmd_g_cm2", 0.8),
    ]
