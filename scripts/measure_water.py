"""Measure what scanners' correction of beam hardening leaves, in scans of cylinders of water; one row per folder."""

import argparse
from pathlib import Path

from osteoray.calibration.protocol import Protocol
from osteoray.calibration.water import COLUMNS, as_row, measure_cylinder
from osteoray.config.ingest import IngestConfig
from osteoray.errors.unreadable import UnreadableInput, Withheld
from osteoray.ingest.ct import read_ct
from osteoray.store.tables import write_table

SHORTEST_MM, THICKEST_MM = 20.0, 10.0
"""A uniform cylinder may be scanned shorter and thicker than a patient."""


def measured(raw: Path, folder: str, number: int) -> dict:
    """The row of one folder; one that cannot be used says why. Folders' names are written nowhere."""
    limits = IngestConfig()
    try:
        if not (raw / folder).is_dir():
            raise UnreadableInput(f"calibration.water, entry {number}", "path", "a folder", "none there", "TAB-PATH")
        scan = read_ct(
            raw / folder,
            min_coverage_mm=SHORTEST_MM,
            max_thickness_mm=THICKEST_MM,
            spacing_tolerance=limits.spacing_tolerance,
            axial_tolerance_deg=limits.axial_tolerance_deg,
            most_cut_mm=limits.most_cut_mm,
            most_step_mm=limits.most_step_mm,
        )
        return as_row(number, measure_cylinder(scan.volume, Protocol.of(scan.facts)))
    except Withheld as error:
        print(f"entry {number}: {error}")
        return {"water": number, "code": error.finding.code, "detail": error.finding.detail}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw", required=True, type=Path, help="folder that the folders are relative to")
    parser.add_argument("--folders", required=True, nargs="+", help="folders of DICOM, one cylinder each")
    parser.add_argument("--output", required=True, type=Path, help="table to write")
    args = parser.parse_args()
    rows = [measured(args.raw, folder, number) for number, folder in enumerate(args.folders, start=1)]
    write_table(args.output, rows, COLUMNS)


if __name__ == "__main__":
    main()
