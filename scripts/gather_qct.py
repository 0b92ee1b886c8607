"""Gather the QCT densities of every patient and side: one table of proximal femurs, one of all regions."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from osteoray.errors.verdict import Verdict
from osteoray.imaging.bones import HipRegion, Side
from osteoray.store.manifest import Manifest, read_manifest
from osteoray.store.tables import write_table

VALUES = ("abmd_g_cm2", "vbmd_mg_cm3", "area_cm2", "bmc_g", "calibration_level", "verdict", "codes")
COLUMNS = ("patient_id", "side", *VALUES)
REGION_COLUMNS = ("patient_id", "side", "region", *VALUES)
REGIONS = ("proximal_femur", "total_hip", *map(str, HipRegion))


def row_of(manifest: Manifest, side: str, values: dict | None, codes: set[str]) -> dict:
    """One row; a side or region without a number is withheld and says why, as far as its own stages know."""
    verdict = Verdict.WITHHELD
    if values:
        verdict = Verdict.WARNING if codes else Verdict.REPORTED
    row = {"patient_id": manifest.patient_id, "side": side, "verdict": verdict, "codes": ",".join(sorted(codes))}
    return row | {"calibration_level": manifest.facts.get("calibration_level")} | (values or {})


def rows_of(manifest: Manifest) -> Iterator[dict]:
    """One row per side: its proximal femur."""
    for side in map(str, Side):
        yield row_of(manifest, side, manifest.facts.get(side), set(manifest.facts.get("codes", {}).get(side, ())))


def region_rows_of(manifest: Manifest) -> Iterator[dict]:
    """One row per side and region."""
    for side in map(str, Side):
        codes = set(manifest.facts.get("codes", {}).get(side, ()))
        measured = manifest.facts.get("regions", {}).get(side, {})
        for region in REGIONS:
            values = dict(measured.get(region, {}))
            own = {values.pop("code")} if "code" in values else set()
            yield row_of(manifest, side, values, codes | own) | {"region": region}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifests", required=True, nargs="+", type=Path, help="manifests of measure_qct")
    parser.add_argument("--output", required=True, type=Path, help="table of proximal femurs to write")
    parser.add_argument("--regions", required=True, type=Path, help="table of all regions to write")
    args = parser.parse_args()
    manifests = [read_manifest(path) for path in args.manifests]
    write_table(args.output, [row for manifest in manifests for row in rows_of(manifest)], COLUMNS)
    write_table(args.regions, [row for manifest in manifests for row in region_rows_of(manifest)], REGION_COLUMNS)


if __name__ == "__main__":
    main()
