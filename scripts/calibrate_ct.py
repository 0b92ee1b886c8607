"""Calibrate a patient's CT into QCT, by the phantom under the patient or by what the configuration lets stand in."""

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np
import yaml
from matplotlib.figure import Figure

from osteoray.calibration.calibrating import Settings
from osteoray.calibration.gates import Gates
from osteoray.calibration.hardening import without_hardening
from osteoray.calibration.ladder import Fallback, Outcome, calibrate_by_ladder
from osteoray.calibration.phantom import Phantom
from osteoray.calibration.protocol import Protocol
from osteoray.calibration.reference import ReferenceScan, reference_scans, taken_out
from osteoray.calibration.water import hardening_of, unusable, water_cylinders
from osteoray.config.calibration import CalibrationConfig
from osteoray.errors.unreadable import Withheld
from osteoray.errors.verdict import Verdict, worst
from osteoray.imaging.volume import Volume
from osteoray.report.calibration_picture import fallback_picture, phantom_picture
from osteoray.report.style import png
from osteoray.store.atomic import writing
from osteoray.store.manifest import Manifest, read_manifest, recording
from osteoray.store.nifti import read_volume, write_rescaled
from osteoray.store.tables import read_table


def read_phantom(path: Path) -> Phantom:
    """The phantom of a table, or one line that says what is wrong with it."""
    try:
        return Phantom.from_table(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise SystemExit(f"{path}: {' '.join(str(error).split())}") from None


def picture_of(volume: Volume, outcome: Outcome, core_fraction: float) -> Figure:
    """The picture of a calibration, by a phantom or without one."""
    codes = tuple(finding.code for finding in outcome.findings)
    protocol = str(Protocol(**outcome.facts["protocol"]))
    if not outcome.calibration:
        return fallback_picture(outcome.facts, codes, protocol)
    paths, levels, used = outcome.calibration.paths, outcome.calibration.levels, outcome.calibration.is_used
    slice_hu = np.where(levels.used_slices, levels.slice_hu[used], np.nan)
    centres_mm = paths.centres_mm[used]
    drawn = (volume, centres_mm, slice_hu, paths.radius_mm, core_fraction)
    return phantom_picture(*drawn, outcome.facts, codes, protocol)


def corrected_ct(manifest: Manifest, ingest: Manifest, water: Path | None) -> Volume:
    """The CT without the beam hardening that cylinders of water tell; a warning if none of those listed tells it."""
    volume = read_volume(ingest.file("ct"))
    manifest.facts.update(quadratic_per_cm=None, bone_share=None)
    if water is None:
        return volume
    rows, protocol = read_table(water), Protocol.of(ingest.facts["ct"])
    try:
        left = hardening_of(water_cylinders(rows), protocol, unusable(rows))
    except Withheld as error:
        manifest.findings.append(error.finding)
        return volume
    manifest.facts.update(asdict(left))
    return without_hardening(volume, left, protocol.kvp)


def calibrate_patient(
    manifest: Manifest,
    ingest: Manifest,
    volume: Volume,
    phantoms: list[Phantom],
    reference: list[ReferenceScan],
    config: CalibrationConfig,
) -> None:
    """Fit the line, draw it, and write the QCT if the line may be used."""
    parts = (Gates, Settings, Fallback)
    gates, settings, fallback = (part(**{n: getattr(config, n) for n in part.__dataclass_fields__}) for part in parts)
    outcome = calibrate_by_ladder(
        volume,
        config.ladder,
        phantoms=phantoms,
        protocol=Protocol.of(ingest.facts.get("ct", {})),
        reference=reference,
        gates=gates,
        settings=settings,
        fallback=fallback,
    )
    manifest.facts.update(outcome.facts)
    manifest.findings.extend(outcome.findings)
    out = manifest.path.parent
    with writing(out / "calibration.png") as temporary:
        temporary.write_bytes(png(picture_of(volume, outcome, config.core_fraction), 100))
    manifest.add_file("picture", out / "calibration.png")
    if worst(outcome.findings) is not Verdict.WITHHELD:
        line = outcome.line
        write_rescaled(out / "qct.nii.gz", volume, line.slope_mg_cm3_per_hu, line.intercept_mg_cm3)
        manifest.add_file("qct", out / "qct.nii.gz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ingest", required=True, type=Path, help="manifest of ingest")
    parser.add_argument("--phantom", required=True, type=Path, nargs="+", help="tables to choose from (YAML)")
    parser.add_argument("--reference", type=Path, nargs="?", help="table of reference scans")
    parser.add_argument("--water", type=Path, nargs="?", help="table of cylinders of water")
    parser.add_argument("--config", required=True, help="calibration section as JSON")
    parser.add_argument("--output", required=True, type=Path, help="manifest to write")
    args = parser.parse_args()
    config = CalibrationConfig.model_validate_json(args.config)
    phantoms = [read_phantom(path) for path in args.phantom]
    reference = reference_scans(read_table(args.reference)) if args.reference else []
    ingest = read_manifest(args.ingest)
    with recording("calibration", ingest.patient_id, args.output, ingest) as manifest:
        if not manifest.blocked_by:
            volume = corrected_ct(manifest, ingest, args.water)
            # A line with beam hardening in it is not that of a CT without.
            own = taken_out(manifest.facts)
            alike = [scan for scan in reference if scan.taken_out == own]
            if len(alike) < len(reference):
                others = ", ".join(sorted({scan.taken_out for scan in reference} - {own}))
                left_out = f"{len(reference) - len(alike)} reference scans left out"
                print(f"{left_out}: beam hardening of {others} was taken out of them, of {own} out of this CT")
            calibrate_patient(manifest, ingest, volume, phantoms, alike, config)


if __name__ == "__main__":
    main()
