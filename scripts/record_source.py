"""Record sizes and digests of a patient's raw files; the output changes only when their content does."""

import argparse
import json
from pathlib import Path

from osteoray.ingest.inventory import inventory
from osteoray.store.manifest import read_json, write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patient", required=True, help="patient_id")
    parser.add_argument("--raw", required=True, type=Path, help="folder that the tables' paths are relative to")
    parser.add_argument("--ct", required=True, help="folder of the CT, relative to raw; empty if there is none")
    parser.add_argument("--xrays", required=True, help="JSON list of objects with xray_id and path")
    parser.add_argument("--output", required=True, type=Path, help="source.json to write")
    args = parser.parse_args()
    xrays = {row["xray_id"]: args.raw / row["path"] for row in json.loads(args.xrays)}
    content = {"patient_id": args.patient, **inventory(args.raw / args.ct if args.ct else None, xrays)}
    if args.output.is_file() and read_json(args.output) == content:
        args.output.touch()
    else:
        write_json(args.output, content)


if __name__ == "__main__":
    main()
