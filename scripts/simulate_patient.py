"""Simulate a virtual patient: a raw CT series and raw X-rays as a hospital exports them, and the truth beside them."""

from __future__ import annotations

import argparse
from pathlib import Path

import yaml

from osteoray.config.simulation import SimulationConfig
from osteoray.errors.unreadable import UnreadableInput
from osteoray.imaging.volume import Volume
from osteoray.simulation.body import Body
from osteoray.simulation.dicom_ct import write_ct
from osteoray.simulation.dicom_dx import write_xray
from osteoray.simulation.dicom_study import Study
from osteoray.simulation.enrolment import VirtualPatient, enrolled
from osteoray.simulation.examination import ct_facts, examine_ct, examine_xray, femur_truth, xray_facts
from osteoray.simulation.parts import take_apart
from osteoray.simulation.phantom import PhantomDesign
from osteoray.simulation.scanner import CtScan
from osteoray.simulation.virtual_body import drawn_body, traced_body
from osteoray.store.arrays import write_arrays
from osteoray.store.manifest import Manifest, recording
from osteoray.store.nifti import read_volume, write_volume

PHANTOM = Path(__file__).resolve().parents[1] / "resources" / "phantoms" / "b_mas200.yaml"


def make_body(config: SimulationConfig, patient: VirtualPatient) -> Body:
    if config.anatomy == "procedural":
        return drawn_body(config, patient)
    found = sorted(Path(config.labelmaps).glob("*_label.nii.gz"))
    if not found:
        raise UnreadableInput(config.labelmaps, "labelmaps", "files *_label.nii.gz", "none", "TAB-PATH")
    path = found[patient.index % len(found)]
    mask = path.with_name(path.name.replace("_label", "_mask"))
    return traced_body(config, patient, len(found), read_volume(path), read_volume(mask))


def write_truth_volumes(manifest: Manifest, ct: CtScan) -> None:
    volumes = {"bones": (ct.bones, None), "proximal_femur": (ct.proximal_femur, None)}
    volumes |= {"ha": (ct.ha_mg_cm3, 0.1), "qct_ideal": (ct.qct_ideal_mg_cm3, 0.1)}
    for name, (array, step) in volumes.items():
        path = manifest.path.parent / f"{name}.nii.gz"
        write_volume(path, Volume(array, ct.grid), step)
        manifest.add_file(name, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patient", required=True, help="V001, V002, ...")
    parser.add_argument("--config", required=True, help="virtual cohort section as JSON")
    parser.add_argument("--raw", required=True, type=Path, help="the patient's folder of raw data to write")
    parser.add_argument("--output", required=True, type=Path, help="manifest of the truth to write")
    args = parser.parse_args()
    config = SimulationConfig.model_validate_json(args.config)
    patient = enrolled(config, args.patient)
    design = PhantomDesign.from_table(yaml.safe_load(PHANTOM.read_text(encoding="utf-8")))
    with recording("simulation", patient.patient_id, args.output) as manifest:
        body = make_body(config, patient)
        scan, ct = examine_ct(config, patient, body, design)
        write_ct(args.raw / "CT", Study(patient, "CT", config.seed), ct.hu, ct.grid, scan.couch_y_mm)
        if patient.labelled:
            write_volume(args.raw / "bone_labels.nii.gz", Volume(ct.bones, ct.grid))
        write_truth_volumes(manifest, ct)
        parts = take_apart(body)
        landmarks, density = femur_truth(body, parts)
        manifest.facts = {"body": body.description, "ct": ct_facts(scan, ct, design), "femur": landmarks}
        manifest.facts |= {"density": density, "xrays": {}}
        for xray in patient.xrays:
            examination = examine_xray(config, patient, body, parts, xray)
            study = Study(patient, "XR", config.seed)
            path = args.raw / "XR" / f"{xray.xray_id}.dcm"
            write_xray(path, study, xray.xray_id, examination.image, examination.view, config.xray.kvp)
            maps = args.output.parent / f"{xray.xray_id}.npz"
            write_arrays(maps, examination.maps_g_cm2)
            manifest.add_file(xray.xray_id, maps)
            manifest.facts["xrays"][xray.xray_id] = xray_facts(examination)


if __name__ == "__main__":
    main()
