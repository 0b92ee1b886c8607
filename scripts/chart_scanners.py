"""Draw the control chart of every CT scanner, and write the table of reference scans that goes with it."""

import argparse
from pathlib import Path

from osteoray.calibration.control import COLUMNS, control_rows
from osteoray.report.scanner_chart import scanner_chart
from osteoray.report.style import png
from osteoray.store.atomic import writing
from osteoray.store.manifest import read_manifest
from osteoray.store.tables import write_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calibrations", required=True, type=Path, nargs="*", help="manifests, in order of enrolment")
    parser.add_argument("--table", required=True, type=Path, help="scanners.tsv to write")
    parser.add_argument("--picture", required=True, type=Path, help="scanners.png to write")
    args = parser.parse_args()
    manifests = [read_manifest(path) for path in args.calibrations]
    rows = control_rows((m.patient_id, str(m.verdict), m.facts) for m in manifests)
    write_table(args.table, rows, COLUMNS)
    with writing(args.picture) as temporary:
        temporary.write_bytes(png(scanner_chart(rows), 130))


if __name__ == "__main__":
    main()
