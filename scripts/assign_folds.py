"""Assign the patients of a release to folds."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from osteoray.config.folds import FoldsConfig
from osteoray.folds.assignment import assign_folds
from osteoray.store.tables import write_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", required=True, help="JSON list of [patient_id, sex] in order of enrolment")
    parser.add_argument("--config", required=True, help="folds section as JSON")
    parser.add_argument("--output", required=True, type=Path, help="table to write")
    args = parser.parse_args()
    config = FoldsConfig.model_validate_json(args.config)
    patients = json.loads(args.patients)
    folds = assign_folds([sex for _, sex in patients], config.count, config.seed)
    rows = ({"patient_id": patient, "fold": fold} for (patient, _), fold in zip(patients, folds, strict=True))
    write_table(args.output, rows, ["patient_id", "fold"])


if __name__ == "__main__":
    main()
