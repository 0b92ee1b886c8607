"""A record never carries a number that is withheld, and never lacks the reason."""

from __future__ import annotations

import pytest

from osteoray.clinic.assembly import accuracy_sentence, assemble_patient, assemble_precision
from osteoray.clinic.machine_report import machine_report
from osteoray.clinic.patient_pdf import patient_pdf
from osteoray.clinic.record import Estimate, Measurement, Model, Patient, Qct, Remark, TScore
from osteoray.clinic.wording import NO_T_SCORE, NO_T_SCORE_UNCALIBRATED, qct_in_words

ESTIMATE = Estimate(0.8, 0.7, 0.9)
WITHHOLDING = Remark("BMD-EMPTY", "read-out", "X1 left", "")
PERSON = {"sex": "F", "age_years": 70.0}
MODEL = Model("m", "v", "nobody", "unknown accuracy", None, 95.0)


def bmd(
    xray_id: str = "X1", side: str = "left", codes: str = "", dxa: str = "", level: str = "phantom"
) -> dict[str, str]:
    return {
        "xray_id": xray_id, "side": side, "pose": "supine", "codes": codes, "predicted_bmd_g_cm2": "0.8",
        "low_g_cm2": "0.7", "high_g_cm2": "0.9", "area_cm2": "30", "dxa_equivalent_g_cm2": dxa, "dxa_low_g_cm2": dxa,
        "dxa_high_g_cm2": dxa, "qct_calibration_level": level,
    }  # fmt: skip


def finding(stage: str, code: str, xray_id: str = "", side: str = "") -> dict[str, str]:
    return {"patient_id": "P", "stage": stage, "code": code, "xray_id": xray_id, "side": side, "detail": "d"}


def no_t(_: Estimate) -> TScore:
    raise AssertionError("no T-score without DXA")


def assembled(rows: list[dict[str, str]], findings: list[dict[str, str]]) -> Patient:
    return assemble_patient("P", PERSON, rows, {}, findings, no_t)


def test_a_withheld_measurement_refuses_a_number():
    with pytest.raises(ValueError, match="expected none for a withheld"):
        Measurement("X1", "left", "supine", ESTIMATE, None, None, None, (WITHHOLDING,))
    with pytest.raises(ValueError, match="expected a withholding reason"):
        Measurement("X1", "left", "supine", None, None, None, None, ())


def test_a_finding_on_the_ct_does_not_touch_the_value_from_the_xray():
    patient = assembled([bmd()], [finding("calibration", "CAL-PHANTOM"), finding("segmentation", "SEG-LANDMARK")])
    assert patient.measurements[0].verdict == "reported"
    assert [remark.code for remark in patient.remarks] == ["CAL-PHANTOM", "SEG-LANDMARK"]


def test_a_failed_registration_asks_for_care_and_metal_or_a_cut_hip_withholds():
    findings = [finding("registration", "REG-WEAK", "X1"), finding("registration", "REG-FIELD", "X2")]
    patient = assembled([bmd("X1"), bmd("X2")], findings)
    assert [m.verdict for m in patient.measurements] == ["warning", "withheld"]
    assert patient.measurements[0].estimate is not None
    metal = assembled([bmd()], [finding("segmentation", "SEG-METAL")])
    assert metal.measurements[0].verdict == "withheld"


def test_a_finding_on_the_xray_or_its_pose_does():
    rows = [bmd("X1"), bmd("X2")]
    patient = assembled(
        rows, [finding("registration", "POSE-FLEXION", "X1", "left"), finding("ingest", "ING-SIDE", "X2")]
    )
    assert [m.verdict for m in patient.measurements] == ["warning", "withheld"]
    assert patient.measurements[1].estimate is None
    assert patient.remarks == ()


def test_the_least_doubtful_measurement_is_handed_over():
    patient = assembled([bmd("X1", codes="BMD-AREA"), bmd("X2"), bmd("X3")], [])
    assert patient.chosen("left").xray_id == "X2"
    assert patient.chosen("right") is None


def test_a_patient_without_any_value_is_withheld_and_gets_a_page_with_the_reason():
    patient = assembled([], [finding("ingest", "ING-EMPTY")])
    assert patient.verdict == "withheld"
    assert patient_pdf(patient, [], [], None, MODEL, "site", 2.0).startswith(b"%PDF")


def test_one_lost_hip_is_a_warning():
    rows = [bmd(side="left", codes="BMD-RANGE"), bmd(side="right")]
    assert assembled(rows, []).verdict == "warning"


def test_the_same_record_gives_the_same_bytes():
    patient = assembled([bmd()], [])
    first, second = (patient_pdf(patient, [], [(60.0, 0.8)], None, MODEL, "site", 2.0) for _ in range(2))
    assert first == second


def test_dxa_equivalent_brings_an_estimated_t_score():
    t_score = TScore(-1.2, -2.2, -0.2, 0.05, "reference")
    patient = assemble_patient("P", PERSON, [bmd(dxa="0.79")], {}, [], lambda _: t_score)
    assert patient.measurements[0].t_score is t_score


def test_a_hip_with_an_uncalibrated_ct_gets_no_t_score_and_the_reason():
    row = bmd(dxa="0.79", level="none")
    patient = assemble_patient("P", PERSON, [row], {"left": Qct(0.71, "none")}, [], no_t)
    assert (patient.measurements[0].dxa, patient.measurements[0].t_score) == (None, None)
    report = machine_report(patient, MODEL)
    assert report["measurements"][0]["t_score_estimated"] == {"value": None, "reason": NO_T_SCORE_UNCALIBRATED}


@pytest.mark.parametrize("level", ["phantom", "asynchronous", "internal", "none"])
def test_a_qct_value_says_its_calibration_and_never_has_a_t_score(level):
    patient = assemble_patient("P", PERSON, [bmd(level=level)], {"left": Qct(0.71, level)}, [], no_t)
    right, left = machine_report(patient, MODEL)["hips"]
    assert right["qct_abmd"] is None
    assert left["qct_abmd"].keys() == {"value", "unit", "scale", "calibration_level", "calibration"}
    assert left["qct_abmd"]["calibration_level"] == level
    assert left["estimate"]["t_score_estimated"]["reason"] == (
        NO_T_SCORE_UNCALIBRATED if level == "none" else NO_T_SCORE
    )


def test_the_level_stands_beside_the_value_unless_it_is_the_phantom():
    assert qct_in_words(Qct(0.71, "internal")) == "QCT aBMD  0.710 g/cm² (calibrated internally)"
    assert "(" not in qct_in_words(Qct(0.71, "phantom"))
    assert qct_in_words(None).endswith("not available")


def test_precision_from_few_patients_is_preliminary():
    row = {"patients": "8", "rms_cv_percent": "3.3", "lsc_percent": "9.1"}
    assert "Changes under 9 % are within error" in assemble_precision(row, 15).sentence
    assert "Preliminary" in assemble_precision(row, 15).sentence
    assert "Preliminary" not in assemble_precision(row, 8).sentence


def test_accuracy_may_be_unknown():
    assert "unknown" in accuracy_sentence(None)
