"""Gather who was left out or flagged, and the numbers by which each stage is judged."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from osteoray.statistics import exclusions, stage_quality
from osteoray.store.manifest import read_manifest
from osteoray.store.tables import read_table, write_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifests", required=True, nargs="+", type=Path, help="manifests of all stages")
    parser.add_argument("--problems", default="[]", help="JSON: rows of the cohort tables that are not used")
    parser.add_argument("--bmd", required=True, type=Path, help="bmd.tsv that is handed over")
    parser.add_argument("--exclusions", required=True, type=Path, help="exclusions.tsv to write")
    parser.add_argument("--stages", required=True, type=Path, help="stages.tsv to write")
    args = parser.parse_args()
    manifests = [read_manifest(path) for path in args.manifests]
    rows = exclusions.exclusion_rows(manifests, json.loads(args.problems))
    rows += exclusions.read_out_rows(read_table(args.bmd))
    write_table(args.exclusions, rows, exclusions.COLUMNS)
    write_table(args.stages, stage_quality.stage_rows(manifests), stage_quality.COLUMNS)


if __name__ == "__main__":
    main()
