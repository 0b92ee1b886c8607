"""Simulate a virtual patient: a raw CT series and raw X-rays as a hospital exports them, and the truth beside them."""

from __future__ import annotations

import argparse
from pathlib import Path

import yaml

from osteoray.config.simulation import SimulationConfig
from osteoray.errors.unreadable import UnreadableInput
from osteoray.imaging.volume import Volume
from osteoray.simulation.body import Body
from osteoray.simulation.ct_examination import ct_facts, ct_header, examine_ct
from osteoray.simulation.dicom_ct import write_ct
from osteoray.simulation.dicom_dx import write_xray
from osteoray.simulation.dicom_study import Study
from osteoray.simulation.dxa import dxa_facts
from osteoray.simulation.enrolment import VirtualPatient, enrolled, generator
from osteoray.simulation.parts import BodyParts, take_apart
from osteoray.simulation.phantom import PhantomDesign
from osteoray.simulation.scanner import CtScan
from osteoray.simulation.truth import density_facts, femur_facts, shadow_facts
from osteoray.simulation.truth_maps import compact_maps
from osteoray.simulation.truth_schema import TRUTH_VERSION
from osteoray.simulation.virtual_body import drawn_body, traced_body
from osteoray.simulation.xray_examination import altered_parts, examine_xray, is_altered, xray_facts
from osteoray.store.arrays import write_arrays
from osteoray.store.manifest import Manifest, recording
from osteoray.store.nifti import read_volume, write_volume

PHANTOMS = Path(__file__).resolve().parents[1] / "resources" / "phantoms"


def make_body(config: SimulationConfig, patient: VirtualPatient) -> Body:
    if config.anatomy == "procedural":
        return drawn_body(config, patient)
    found = sorted(Path(config.labelmaps).glob("*_label.nii.gz"))
    if not found:
        raise UnreadableInput(config.labelmaps, "labelmaps", "files *_label.nii.gz", "none", "TAB-PATH")
    path = found[patient.index % len(found)]
    mask = path.with_name(path.name.replace("_label", "_mask"))
    return traced_body(config, patient, len(found), read_volume(path), read_volume(mask))


def write_truth_volumes(manifest: Manifest, ct: CtScan, is_compact: bool) -> None:
    volumes = {"bones": (ct.bones, None), "proximal_femur": (ct.proximal_femur, None)}
    if not is_compact:
        volumes |= {"ha": (ct.ha_mg_cm3, 0.1), "qct_ideal": (ct.qct_ideal_mg_cm3, 0.1)}
    for name, (array, step) in volumes.items():
        path = manifest.path.parent / f"{name}.nii.gz"
        write_volume(path, Volume(array, ct.grid), step)
        manifest.add_file(name, path)


def write_examination(
    manifest: Manifest, folder: Path, config: SimulationConfig, patient: VirtualPatient, body: Body
) -> BodyParts:
    """Scan the patient and record all that is true of him but his X-rays; the body taken apart, for them."""
    table = PHANTOMS / f"{config.ct.phantom}.yaml"
    design = PhantomDesign.from_table(yaml.safe_load(table.read_text(encoding="utf-8")))
    examined = examine_ct(config, patient, body, design)
    ct = examined.ct
    write_ct(
        folder / "CT", Study(patient, "CT", config.seed), ct.hu, ct.grid, examined.scan.couch_mm[1],
        ct_header(examined, config.ct.transfer_syntax),
    )  # fmt: skip
    if patient.labelled:
        write_volume(folder / "bone_labels.nii.gz", Volume(ct.bones, ct.grid))
    write_truth_volumes(manifest, ct, config.truth == "compact")
    parts = take_apart(body, config.ct.kvp)
    rng = generator(config.seed, patient.index, "dxa")
    manifest.facts = {"truth_version": TRUTH_VERSION, "body": body.description, "ct": ct_facts(examined)}
    manifest.facts |= {"femur": {str(side): femur_facts(femur) for side, femur in body.femurs.items()}}
    manifest.facts |= {"density": density_facts(body, parts, ct, examined.disturbed_sides)}
    manifest.facts |= {"dxa": dxa_facts(body, parts, config.dxa.cv_percent, rng)}
    return parts


def write_xrays(
    manifest: Manifest, folder: Path, config: SimulationConfig, patient: VirtualPatient, body: Body, parts: BodyParts
) -> None:
    manifest.facts["xrays"] = {}
    for xray in patient.xrays:
        seen = examine_xray(config, patient, body, parts, xray)
        study, path = Study(patient, "XR", config.seed), folder / f"{xray.xray_id}.dcm"
        write_xray(path, study, xray.xray_id, seen.image, seen.view, config.xray.kvp, seen.defects)
        maps = manifest.path.parent / f"{xray.xray_id}.npz"
        write_arrays(maps, compact_maps(seen.maps_g_cm2) if config.truth == "compact" else seen.maps_g_cm2)
        manifest.add_file(xray.xray_id, maps)
        shadows = {"proximal_femur": shadow_facts(seen.maps_g_cm2)}
        manifest.facts["xrays"][xray.xray_id] = xray_facts(seen) | shadows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patient", required=True, help="V001, V002, ...")
    parser.add_argument("--config", required=True, help="virtual cohort section as JSON")
    parser.add_argument("--raw", required=True, type=Path, help="the patient's folder of raw data to write")
    parser.add_argument("--output", required=True, type=Path, help="manifest of the truth to write")
    args = parser.parse_args()
    config = SimulationConfig.model_validate_json(args.config)
    patient = enrolled(config, args.patient)
    with recording("simulation", patient.patient_id, args.output) as manifest:
        body = make_body(config, patient)
        parts = write_examination(manifest, args.raw, config, patient, body)
        if is_altered(config, patient):
            # The intact body's parts go before the others come: they take some 0.3 GB.
            del parts
            parts = altered_parts(config, patient, body)
        write_xrays(manifest, args.raw / "XR", config, patient, body, parts)


if __name__ == "__main__":
    main()
