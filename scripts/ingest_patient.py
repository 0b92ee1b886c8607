"""Read a patient's CT and X-rays from DICOM, or say why they cannot be used."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from osteoray.config.ingest import IngestConfig
from osteoray.errors.unreadable import UnreadableInput, Withheld
from osteoray.errors.verdict import Finding
from osteoray.ingest.ct import read_ct
from osteoray.ingest.inventory import MISSING
from osteoray.ingest.xray import read_xray
from osteoray.store.manifest import Manifest, read_json, recording, write_json
from osteoray.store.nifti import write_radiograph, write_volume


def ingest_ct(manifest: Manifest, folder: Path, config: IngestConfig) -> str:
    """Read, write and name the CT; returns its PatientID, which is written nowhere."""
    scan = read_ct(
        folder,
        min_coverage_mm=config.min_coverage_mm,
        max_thickness_mm=config.max_thickness_mm,
        spacing_tolerance=config.spacing_tolerance,
        axial_tolerance_deg=config.axial_tolerance_deg,
        most_cut_mm=config.most_cut_mm,
        most_step_mm=config.most_step_mm,
    )
    out = manifest.path.parent
    write_volume(out / "ct.nii.gz", scan.volume)
    write_json(out / "ct.json", scan.facts)
    manifest.add_file("ct", out / "ct.nii.gz")
    manifest.facts["ct"] = scan.facts
    manifest.findings.extend(scan.findings)
    return scan.person


def ingest_xray(manifest: Manifest, row: dict, path: Path, config: IngestConfig, person_of_ct: str) -> None:
    """Read, write and name one X-ray of the person of the CT."""
    xray_id = row["xray_id"]
    xray = read_xray(
        path,
        xray_id,
        log_offset=config.log_offset,
        log_units_per_neper=config.log_units_per_neper,
        display_nepers=config.display_nepers,
        accepts_display=config.display_images == "warn",
        default_sid_mm=config.default_sid_mm,
        person_of_ct=person_of_ct,
    )
    out = manifest.path.parent / "xrays"
    facts = {"pose": row["pose"], **xray.facts}
    write_radiograph(out / f"{xray_id}.nii.gz", xray.radiograph)
    write_json(out / f"{xray_id}.json", facts)
    manifest.add_file(f"xray_{xray_id}", out / f"{xray_id}.nii.gz")
    manifest.facts["xrays"][xray_id] = facts
    manifest.findings.extend(xray.findings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patient", required=True, help="patient_id")
    parser.add_argument("--raw", required=True, type=Path, help="folder that the tables' paths are relative to")
    parser.add_argument("--ct", required=True, help="folder of the CT, relative to raw; empty if there is none")
    parser.add_argument("--xrays", required=True, help="JSON list of objects with xray_id, path and pose")
    parser.add_argument("--source", required=True, type=Path, help="source.json of the patient")
    parser.add_argument("--config", required=True, help="ingest section as JSON")
    parser.add_argument("--output", required=True, type=Path, help="manifest to write")
    args = parser.parse_args()
    config = IngestConfig.model_validate_json(args.config)
    source = read_json(args.source)
    with recording("ingest", args.patient, args.output) as manifest:
        manifest.facts["xrays"] = {}
        if source["ct"] == MISSING:
            got = "none there" if args.ct else "nothing"
            raise UnreadableInput("patients.tsv", "ct", "an existing folder", got, "TAB-PATH")
        person_of_ct = ingest_ct(manifest, args.raw / args.ct, config)
        for row in json.loads(args.xrays):
            try:
                if source["xrays"][row["xray_id"]] == MISSING:
                    raise UnreadableInput("xrays.tsv", "path", "an existing file", "none there", "TAB-PATH")
                ingest_xray(manifest, row, args.raw / row["path"], config, person_of_ct)
            except Withheld as error:
                manifest.findings.append(replace(error.finding, xray_id=row["xray_id"]))
        if not manifest.facts["xrays"]:
            manifest.findings.append(
                Finding("ING-NOXRAY", f"{len(json.loads(args.xrays))} listed, none of them usable")
            )


if __name__ == "__main__":
    main()
