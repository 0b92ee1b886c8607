"""Gather the cross-validation of the segmentation network in one table, and sum it up per bone."""

import argparse
from pathlib import Path

from osteoray.segmentation.validation import COLUMNS, SUMMARY_COLUMNS, summary_rows
from osteoray.store.tables import number, read_table, write_table

NUMBERS = ("dice", "asd_mm", "hd95_mm", "volume_error_percent", "doubt")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", required=True, nargs="*", type=Path, help="tables of the folds")
    parser.add_argument("--table", required=True, type=Path, help="validation.tsv to write")
    parser.add_argument("--summary", required=True, type=Path, help="validation_summary.tsv to write")
    args = parser.parse_args()
    rows = [row for path in args.folds for row in read_table(path)]
    used = [row | {name: number(row[name]) for name in NUMBERS} for row in rows if not row["code"]]
    write_table(args.table, rows, COLUMNS)
    write_table(args.summary, summary_rows(used), SUMMARY_COLUMNS)


if __name__ == "__main__":
    main()
