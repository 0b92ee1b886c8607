"""Calibrate a patient's CT into QCT by the phantom under the patient."""

import argparse
from pathlib import Path

import yaml

from osteoray.calibration.calibrating import calibrate, calibration_facts, density_volume
from osteoray.calibration.gates import Gates
from osteoray.calibration.phantom import Phantom
from osteoray.config.calibration import CalibrationConfig
from osteoray.errors.verdict import Verdict, worst
from osteoray.report.calibration_picture import calibration_picture
from osteoray.store.atomic import writing
from osteoray.store.manifest import Manifest, read_manifest, recording
from osteoray.store.nifti import read_volume, write_volume


def calibrate_patient(manifest: Manifest, ct: Path, phantom: Phantom, config: CalibrationConfig) -> None:
    """Fit the line, draw it, and write the QCT if the line may be used."""
    volume = read_volume(ct)
    limits = {name: getattr(config, name) for name in Gates.__dataclass_fields__}
    settings = ("min_likeness", "core_fraction", "end_margin_mm", "min_length_mm", "min_levels")
    calibration = calibrate(volume, phantom, Gates(**limits), **{name: getattr(config, name) for name in settings})
    manifest.facts.update(calibration_facts(calibration, phantom, volume))
    manifest.findings.extend(calibration.findings)
    out = manifest.path.parent
    picture = calibration_picture(
        volume, calibration.paths.centres_mm, calibration.paths.radius_mm, config.core_fraction, manifest.facts
    )
    with writing(out / "calibration.png") as temporary:
        picture.save(temporary)
    manifest.add_file("picture", out / "calibration.png")
    if worst(calibration.findings) is not Verdict.WITHHELD:
        write_volume(out / "qct.nii.gz", density_volume(volume, calibration.line), step=0.1)
        manifest.add_file("qct", out / "qct.nii.gz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ingest", required=True, type=Path, help="manifest of ingest")
    parser.add_argument("--phantom", required=True, type=Path, help="table of the phantom (YAML)")
    parser.add_argument("--config", required=True, help="calibration section as JSON")
    parser.add_argument("--output", required=True, type=Path, help="manifest to write")
    args = parser.parse_args()
    config = CalibrationConfig.model_validate_json(args.config)
    phantom = Phantom.from_table(yaml.safe_load(args.phantom.read_text(encoding="utf-8")))
    ingest = read_manifest(args.ingest)
    with recording("calibration", ingest.patient_id, args.output, ingest) as manifest:
        if not manifest.blocked_by:
            calibrate_patient(manifest, ingest.file("ct"), phantom, config)


if __name__ == "__main__":
    main()
