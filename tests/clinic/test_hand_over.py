"""The scripts from the read-out to the clinic, on a small cohort with a defect of each kind."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import openpyxl
import pypdfium2
import pytest

from osteoray.clinic.wording import DISCLAIMER, NO_T_SCORE


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def words(path: Path) -> str:
    """Text of all pages with single spaces."""
    document = pypdfium2.PdfDocument(path)
    text = " ".join(document[i].get_textpage().get_text_range() for i in range(len(document)))
    document.close()
    return " ".join(text.split())


def report(results: Path, patient_id: str) -> dict:
    return json.loads((results / f"clinic/{patient_id}/report.json").read_text(encoding="utf-8"))


def test_predicted_bmd_follows_qct(results):
    agreement = rows(results / "statistics/agreement.tsv")
    kept = next(r for r in agreement if (r["task"], r["reference"], r["subset"]) == ("mp_bd", "qct_abmd", "kept"))
    assert float(kept["pcc"]) > 0.85
    assert abs(float(kept["bias_g_cm2"])) < 0.05


def test_an_empty_map_counts_with_zero_and_is_withheld(results):
    table = rows(results / "densitometry/all/mp_bd/resnet10t/128/bmd.tsv")
    empty = next(r for r in table if (r["patient_id"], r["xray_id"], r["side"]) == ("P004", "X1", "right"))
    assert (empty["predicted_bmd_g_cm2"], empty["verdict"], empty["codes"]) == ("0", "withheld", "BMD-EMPTY")
    everyone = next(r for r in rows(results / "statistics/agreement.tsv") if r["task"] == "mp_bd")
    assert (everyone["subset"], everyone["empty"], everyone["withheld"]) == ("all", "1", "1")


def test_a_hip_without_reference_is_predicted_without_map_quality(results):
    table = rows(results / "densitometry/all/mp_bd/resnet10t/128/bmd.tsv")
    lost = next(r for r in table if (r["patient_id"], r["xray_id"], r["side"]) == ("P003", "X2", "left"))
    assert lost["predicted_bmd_g_cm2"]
    assert (lost["map_bmd_g_cm2"], lost["psnr_db"], lost["ssim_roi"]) == ("", "", "")


def test_an_uncalibrated_qct_is_named_and_is_no_reference(results):
    table = rows(results / "densitometry/all/mp_bd/resnet10t/128/bmd.tsv")
    levels = {r["patient_id"]: r["qct_calibration_level"] for r in table}
    assert levels == {"P007": "", "P002": "internal", "P006": "none"} | dict.fromkeys(
        ("P001", "P003", "P004", "P005", "P008"), "phantom"
    )
    assert {r["patient_id"] for r in table if not r["qct_abmd_g_cm2"]} == {"P006", "P007"}


@pytest.mark.parametrize(("patient", "told"), [("P002", "calibrated internally"), ("P006", "not calibrated")])
def test_the_level_stands_beside_the_qct_value(results, patient, told):
    qct = report(results, patient)["hips"][0]["qct_abmd"]
    assert qct["calibration"] == told
    assert f"QCT aBMD {qct['value']:.3f} g/cm² ({told})" in words(results / f"clinic/{patient}/report.pdf")
    assert "(calibrated" not in words(results / "clinic/P001/report.pdf")
    head, *body = openpyxl.load_workbook(results / "clinic/cohort.xlsx")["Values"].iter_rows(values_only=True)
    cells = [dict(zip(head, row, strict=True)) for row in body]
    shown = {(c["qct_abmd_g_cm2"], c["qct_calibration_level"]) for c in cells if c["patient_id"] == patient}
    assert {level for _, level in shown} == {qct["calibration_level"]} and None not in {value for value, _ in shown}


def test_exclusions_name_each_finding_once_with_its_fix(results):
    found = [(r["patient_id"], r["stage"], r["code"]) for r in rows(results / "statistics/exclusions.tsv")]
    assert found.count(("P007", "calibration", "CAL-PHANTOM")) == 1
    assert [stage for patient, stage, _ in found if patient == "P007"] == ["calibration"]
    assert ("P099", "cohort", "TAB-EXCLUDED") in found
    assert all(r["fix"] for r in rows(results / "statistics/exclusions.tsv"))


def test_stage_table_holds_the_largest_residual(results):
    quantities = {r["quantity"] for r in rows(results / "statistics/stages.tsv")}
    assert {
        "slope_mg_cm3_per_hu",
        "r2",
        "max_residual_mg_cm3",
        "volume_left_femur_cm3",
        "z",
        "abmd_g_cm2",
    } <= quantities
    assert {
        "similarity_pelvis",
        "similarity_left_femur",
        "agreement_mm",
        "doubt_left_femur",
    } <= quantities


def test_the_report_shows_the_validation_and_the_most_doubtful_segmentations(results):
    html = (results / "report/index.html").read_text(encoding="utf-8")
    section = html.split('<section id="segmentation">')[1].split("</section>")[0]
    assert "SEG-LABELS: no such file" in section
    assert section.count("<figure>") == 1 + min(10, len(list((results / "segmentation").rglob("*.png"))))


@pytest.mark.parametrize("page", ["report/index.html", "clinic/index.html"])
def test_a_page_asks_nothing_of_the_network(results, page):
    html = (results / page).read_text(encoding="utf-8")
    targets = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)["']""", html)
    assert targets
    assert [t for t in targets if re.match(r"(https?:)?//", t)] == []
    assert "@import" not in html
    assert "url(" not in html


def test_every_link_of_the_clinic_page_exists(results):
    html = (results / "clinic/index.html").read_text(encoding="utf-8")
    for target in re.findall(r'href="([^"]+)"', html):
        assert (results / "clinic" / target).is_file(), target


def test_the_report_holds_every_section_and_figure(results):
    html = (results / "report/index.html").read_text(encoding="utf-8")
    for anchor in ("agreement", "maps", "precision", "cohort", "stages", "truth", "training", "definitions"):
        assert f'href="#{anchor}"' in html
        assert f'id="{anchor}"' in html
    figures = {path.stem for path in (results / "report/figures").glob("*.png")}
    assert figures >= {"scatter", "bland_altman", "error_by_pose", "example_maps", "cohort_flow", "stage_quality"}
    pictures = min(10, len(list((results / "segmentation").rglob("*.png"))))
    assert html.count("data:image/png;base64,") == len(figures) + pictures
    assert "Against ground truth (virtual cohort)" in html


def test_a_report_in_json_is_complete_and_has_no_nan(results):
    for path in sorted((results / "clinic").glob("P*/report.json")):
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
        assert content["schema"] == "osteoray-patient-report/1"
        assert content["disclaimer"] == DISCLAIMER
        assert [hip["side"] for hip in content["hips"]] == ["right", "left"]


def test_a_withheld_measurement_has_no_number_and_a_reason(results):
    empty = next(m for m in report(results, "P004")["measurements"] if m["status"] == "withheld")
    assert (empty["abmd"], empty["area"], empty["codes"]) == (None, None, ["BMD-EMPTY"])
    chosen = report(results, "P004")["hips"][0]["estimate"]
    assert (chosen["xray_id"], chosen["status"]) == ("X2", "reported")


def test_a_flexed_hip_carries_a_warning_and_the_other_does_not(results):
    right, left = report(results, "P005")["hips"]
    assert (right["estimate"]["status"], left["estimate"]["status"]) == ("reported", "warning")
    assert report(results, "P005")["status"] == "warning"


def test_a_patient_without_usable_ct_still_gets_an_estimate(results):
    content = report(results, "P007")
    assert all(hip["estimate"]["abmd"]["value"] > 0 and hip["qct_abmd"] is None for hip in content["hips"])
    assert [finding["code"] for finding in content["findings"]] == ["CAL-PHANTOM"]


def test_no_t_score_without_dxa_and_the_reason_is_printed(results):
    for measurement in report(results, "P001")["measurements"]:
        assert measurement["t_score_estimated"] == {"value": None, "reason": NO_T_SCORE}
    text = words(results / "clinic/P001/report.pdf")
    assert "T-score: not given" in text
    assert "−2.5" not in text


def test_the_pdf_says_who_what_and_how_sure(results):
    text = words(results / "clinic/P001/report.pdf")
    estimate = report(results, "P001")["hips"][0]["estimate"]["abmd"]
    assert "P001" in text
    assert f"{estimate['value']:.3f}" in text
    assert f"{estimate['low']:.2f} to {estimate['high']:.2f} g/cm²" in text
    assert DISCLAIMER in text
    assert "Virtual patients" in text
    assert "Changes under" in text


def test_the_pdf_is_two_a4_pages_without_dates(results):
    path = results / "clinic/P002/report.pdf"
    document = pypdfium2.PdfDocument(path)
    assert [tuple(round(v * 25.4 / 72) for v in document[i].get_size()) for i in range(len(document))] == [
        (210, 297)
    ] * 2
    assert document.get_metadata_dict()["CreationDate"] == ""
    document.close()


def test_the_spreadsheet_holds_values_exclusions_and_legend(results):
    book = openpyxl.load_workbook(results / "clinic/cohort.xlsx")
    assert book.sheetnames == ["Values", "Exclusions", "Legend"]
    head, *body = book["Values"].iter_rows(values_only=True)
    table = [dict(zip(head, row, strict=True)) for row in body]
    assert len(table) == 32
    withheld = [row for row in table if row["state"] == "withheld"]
    assert [(row["patient_id"], row["abmd_g_cm2"], row["handed_over"]) for row in withheld] == [("P004", None, 0)]
    legend = {row[0] for row in book["Legend"].iter_rows(min_row=2, values_only=True)}
    assert set(head) <= legend
