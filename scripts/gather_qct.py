"""Gather the QCT areal density of every patient and side into one table."""

import argparse
from pathlib import Path

from osteoray.errors.verdict import Verdict
from osteoray.imaging.bones import Side
from osteoray.store.manifest import Manifest, read_manifest
from osteoray.store.tables import write_table

COLUMNS = (
    "patient_id", "side", "abmd_g_cm2", "vbmd_mg_cm3", "area_cm2", "bmc_g", "calibration_level", "verdict", "codes",
)  # fmt: skip


def rows_of(manifest: Manifest) -> list[dict]:
    """One row per side; a side without a number is withheld and says why, as far as its own stages know."""
    rows = []
    for side in map(str, Side):
        values = manifest.facts.get(side)
        codes = sorted(set(manifest.facts.get("codes", {}).get(side, ())))
        verdict = Verdict.WITHHELD
        if values:
            verdict = Verdict.WARNING if codes else Verdict.REPORTED
        rows.append(
            {"patient_id": manifest.patient_id, "side": side, "verdict": verdict, "codes": ",".join(codes)}
            | {"calibration_level": manifest.facts.get("calibration_level")}
            | (values or {})
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifests", required=True, nargs="+", type=Path, help="manifests of measure_qct")
    parser.add_argument("--output", required=True, type=Path, help="table to write")
    args = parser.parse_args()
    write_table(args.output, [row for path in args.manifests for row in rows_of(read_manifest(path))], COLUMNS)


if __name__ == "__main__":
    main()
