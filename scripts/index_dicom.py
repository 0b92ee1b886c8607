"""Write patients.tsv, xrays.tsv and series.tsv for a DICOM tree of any layout, from headers alone.

Stopped half-way, it goes on where it was: files that have not changed are not read again."""

import argparse
import os
import time
from collections import Counter
from pathlib import Path

from osteoray.config.ingest import IngestConfig
from osteoray.ingest.indexing import (
    NO_PATIENT_ID,
    PATIENT_COLUMNS,
    SERIES_COLUMNS,
    XRAY_COLUMNS,
    Index,
    index_tree,
    patient_names,
)
from osteoray.ingest.private_files import owner_only
from osteoray.ingest.pseudonyms import pseudonyms, read_key
from osteoray.ingest.tree import read_tree
from osteoray.ingest.tree_file import TreeFile
from osteoray.store.tables import write_table


def summary(files: list[TreeFile], index: Index, seconds: float, output: Path) -> str:
    """What a person checks before using the tables."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(file.kind for file in files).most_common())
    without_ct = [row["patient_id"] for row in index.patients if not row["ct"]]
    with_xray = {row["patient_id"] for row in index.xrays}
    without_xray = [row["patient_id"] for row in index.patients if row["patient_id"] not in with_xray]
    incomplete = [
        row["patient_id"]
        for row in index.patients
        if not all((row["sex"], row["age"], row["height_cm"], row["weight_kg"]))
    ]
    poses = ", ".join(f"{count} {pose}" for pose, count in Counter(row["pose"] for row in index.xrays).most_common())
    nameless = sum(row["exclude"].startswith(NO_PATIENT_ID) for row in index.patients)
    left_out = sum(row["taken"] == "no" for row in index.series)
    lines = [
        f"{len(files)} files in {seconds:.1f} s: {kinds or 'none'}",
        f"{len(index.patients)} patients, {len(index.xrays)} X-rays ({poses or 'none'})",
        f"studies without PatientID, each a patient of its own and excluded: {nameless}",
        f"without CT: {_listed(without_ct)}",
        f"without X-ray: {_listed(without_xray)}",
        f"sex, age, height or weight to fill in: {_listed(incomplete)}",
        f"series left out: {left_out} of {len(index.series)}, reasons in {output / 'series.tsv'}",
    ]
    return "\n".join(lines)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") if names else "none"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tree", type=Path, help="folder of DICOM files; paths in the tables are relative to it")
    parser.add_argument(
        "--output",
        required=True,
        type=Path,
        help="folder for the three tables and the headers read; keep it with the raw data",
    )
    parser.add_argument(
        "--leave-out",
        action="append",
        default=[],
        metavar="FOLDER",
        help="folder below the tree without patients, such as cylinders of water; may be repeated",
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument(
        "--names",
        choices=("pseudonyms", "stored"),
        default="pseudonyms",
        help="what patients are called: pseudonyms, kept apart in identities.tsv, or the identifiers of the files",
    )
    parser.add_argument("--key", type=Path, help="key of the pseudonyms, made at first use (OUTPUT/identities.key)")
    args = parser.parse_args()
    if not args.tree.is_dir():
        parser.error(f"tree: expected an existing folder, got {args.tree}")
    config, start = IngestConfig(), time.perf_counter()
    files = read_tree(args.tree, args.workers, args.output / "headers.jsonl")
    for folder in args.leave_out:
        kept = [file for file in files if not Path(file.path).is_relative_to(folder)]
        if len(kept) == len(files) or not kept:
            parser.error(f"--leave-out: expected a folder below {args.tree} that holds some of its files, got {folder}")
        files = kept
    identities: dict[str, str] = {}

    def name_patients(stored: list[str]) -> dict[str, str]:
        if args.names == "pseudonyms":
            identities.update(pseudonyms(stored, read_key(args.key or args.output / "identities.key")))
        return identities or patient_names(stored)

    limits = {"min_coverage_mm": config.min_coverage_mm, "max_thickness_mm": config.max_thickness_mm}
    index = index_tree(files, **limits, name_patients=name_patients)
    if identities:
        rows = [{"patient_id": name, "PatientID": stored} for stored, name in identities.items()]
        with owner_only():
            write_table(args.output / "identities.tsv", rows, ("patient_id", "PatientID"))
    for name, rows, columns in (
        ("patients", index.patients, PATIENT_COLUMNS),
        ("xrays", index.xrays, XRAY_COLUMNS),
        ("series", index.series, SERIES_COLUMNS),
    ):
        write_table(args.output / f"{name}.tsv", rows, columns)
    print(summary(files, index, time.perf_counter() - start, args.output))


if __name__ == "__main__":
    main()
