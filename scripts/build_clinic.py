"""Build the clinic folder: index page, spreadsheet, and one PDF and JSON per patient."""

from __future__ import annotations

import argparse
import json
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml

from osteoray.clinic.assembly import accuracy_sentence, assemble_patient, assemble_precision
from osteoray.clinic.chart import ReferenceLines
from osteoray.clinic.index_page import index_page
from osteoray.clinic.machine_report import machine_report
from osteoray.clinic.patient_pdf import patient_pdf
from osteoray.clinic.pictures import MapOverlay, Picture
from osteoray.clinic.record import Estimate, Model, Patient, Qct, TScore
from osteoray.clinic.spreadsheet import spreadsheet
from osteoray.config.clinic import ClinicConfig
from osteoray.densitometry.reference import OSTEOPOROSIS_T, ReferenceBmd
from osteoray.imaging.resampling import resize_image
from osteoray.store.arrays import read_arrays
from osteoray.store.atomic import writing
from osteoray.store.manifest import Manifest, read_manifest, write_json
from osteoray.store.nifti import read_radiograph
from osteoray.store.tables import read_table
from osteoray.version import VERSION

DISPLAY_ROWS = 640


def main() -> None:
    args = parse()
    config = ClinicConfig.model_validate_json(args.config)
    people = json.loads(args.patients)
    reference = read_reference(args.reference)
    lines = ReferenceLines(reference.name, *(reference.bmd_at(t) for t in (0.0, -1.0, OSTEOPOROSIS_T)))
    bmd, exclusions = by_patient(read_table(args.bmd)), read_table(args.exclusions)
    findings, qct = by_patient(exclusions), defaultdict(dict)
    for row in read_table(args.qct):
        if row["abmd_g_cm2"] and row["verdict"] != "withheld":
            qct[row["patient_id"]][row["side"]] = Qct(float(row["abmd_g_cm2"]), row["calibration_level"])
    patients = [
        assemble_patient(p, person, bmd[p], qct[p], findings[p], lambda dxa: t_score(reference, dxa))
        for p, person in people.items()
    ]
    model = model_of(args, config)
    maps = read_maps(args.predictions)
    manifests = {m.patient_id: m for m in map(read_manifest, args.halves)}
    ingests = {m.patient_id: m for m in map(read_manifest, args.ingest)}
    for patient in patients:
        cohort = cohort_of(people, qct, patient.patient_id)
        p = patient.patient_id
        pictures = list(read_pictures(patient, ingests[p], manifests[p], maps))
        pdf = patient_pdf(patient, pictures, cohort, lines, model, config.site, config.map_maximum_g_cm2)
        write_bytes(args.output.parent / p / "report.pdf", pdf)
        write_json(args.output.parent / p / "report.json", machine_report(patient, model))
    remove_withdrawn(args.output.parent, set(people))
    write_bytes(args.output.parent / "cohort.xlsx", spreadsheet(patients, exclusions, model))
    write_bytes(args.output, index_page(patients, model, config.site).encode("utf-8"))


def cohort_of(people: dict, qct: dict[str, dict[str, Qct]], patient_id: str) -> list[tuple[float, float]]:
    """Age and QCT aBMD of every hip of the other patients; a density without any calibration is no comparison."""
    others = [(person, hip) for person, hips in qct.items() for hip in hips.values() if person != patient_id]
    return [(float(people[p]["age_years"]), hip.value_g_cm2) for p, hip in others if hip.level != "none"]


def remove_withdrawn(clinic: Path, people: set[str]) -> None:
    """Remove the folders of patients who have left the cohort tables; only folders that hold a report of ours."""
    for report in clinic.glob("*/report.json"):
        if report.parent.name not in people:
            shutil.rmtree(report.parent)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bmd", required=True, type=Path, help="{task}/{backbone}/{size}/bmd.tsv to hand over")
    parser.add_argument("--predictions", required=True, nargs="+", type=Path, help="tables of the model's predictions")
    parser.add_argument("--halves", required=True, nargs="+", type=Path, help="manifests of laterality")
    parser.add_argument("--ingest", required=True, nargs="+", type=Path, help="manifests of ingest")
    parser.add_argument("--qct", required=True, type=Path, help="densitometry/qct.tsv")
    parser.add_argument("--agreement", required=True, type=Path, help="statistics/agreement.tsv")
    parser.add_argument("--precision", required=True, type=Path, help="statistics/precision.tsv")
    parser.add_argument("--exclusions", required=True, type=Path, help="statistics/exclusions.tsv")
    parser.add_argument("--patients", required=True, help="JSON: per patient sex and age_years")
    parser.add_argument("--reference", required=True, type=Path, help="resources/reference_bmd.yaml")
    parser.add_argument("--config", required=True, help="clinic section as JSON")
    parser.add_argument("--output", required=True, type=Path, help="index.html to write; the rest goes beside it")
    return parser.parse_args()


def by_patient(rows: list[dict]) -> dict[str, list[dict]]:
    grouped = defaultdict(list)
    for row in rows:
        grouped[row["patient_id"]].append(row)
    return grouped


def read_reference(path: Path) -> ReferenceBmd:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return ReferenceBmd(**content["references"][content["default"]])


def t_score(reference: ReferenceBmd, dxa: Estimate) -> TScore:
    sd_g_cm2 = (dxa.high_g_cm2 - dxa.value_g_cm2) / 1.96
    probability = reference.probability_below(OSTEOPOROSIS_T, dxa.value_g_cm2, sd_g_cm2)
    values = (reference.t_score(v) for v in (dxa.value_g_cm2, dxa.low_g_cm2, dxa.high_g_cm2))
    return TScore(*values, probability, f"{reference.name} ({reference.status})")


def model_of(args: argparse.Namespace, config: ClinicConfig) -> Model:
    """Name and measured quality of the experiment that the values come from."""
    names = args.bmd.parts[-4:-1]
    rows = [r for r in read_table(args.agreement) if (r["task"], r["backbone"], r["size"]) == names]
    agreement = next((r for r in rows if (r["reference"], r["subset"]) == ("qct_abmd", "all")), None)
    repeats = [r for r in read_table(args.precision) if (r["task"], r["backbone"], r["size"]) == names]
    precision = assemble_precision(repeats[0], config.minimum_precision_patients) if repeats else None
    return Model(
        f"{names[0]} · {names[1]} · {names[2]} px",
        f"osteoray {VERSION}",
        config.training_population,
        accuracy_sentence(agreement),
        precision,
        95.0,
    )


def read_maps(tables: list[Path]) -> dict[tuple[str, str, str], np.ndarray]:
    """Predicted maps by patient, X-ray and side."""
    maps = {}
    for table in tables:
        stack = read_arrays(table.with_suffix(".npz"))["maps"]
        for row, areal in zip(read_table(table), stack, strict=True):
            maps[row["patient_id"], row["xray_id"], row["side"]] = areal
    return maps


def read_pictures(patient: Patient, ingest: Manifest, laterality: Manifest, maps: dict) -> Iterator[Picture]:
    """The patient's X-rays, reduced for display, with the maps of measurements that carry a value."""
    crops = {(half["xray_id"], half["side"]): half for half in laterality.facts.get("halves", [])}
    for xray_id in dict.fromkeys(m.xray_id for m in patient.measurements):
        xray = read_radiograph(ingest.file(f"xray_{xray_id}")).array
        reduced = (min(DISPLAY_ROWS, xray.shape[0]), round(xray.shape[1] * min(1.0, DISPLAY_ROWS / xray.shape[0])))
        shown = [m for m in patient.measurements if m.xray_id == xray_id]
        overlays = {
            m.side: MapOverlay(maps[patient.patient_id, xray_id, m.side], tuple(half["crop"]), half["flipped"])
            for m in shown
            if m.estimate and (half := crops[xray_id, m.side])
        }
        yield Picture(xray_id, shown[0].pose, resize_image(xray, reduced), xray.shape, overlays)


def write_bytes(path: Path, content: bytes) -> None:
    with writing(path) as temporary:
        temporary.write_bytes(content)


if __name__ == "__main__":
    main()
