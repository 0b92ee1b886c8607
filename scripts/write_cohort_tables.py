"""Write patients.tsv and xrays.tsv of the virtual cohort, as a hospital would hand them over."""

from __future__ import annotations

import argparse
from pathlib import Path

from osteoray.config.cohort import OPTIONAL_PATIENT_COLUMNS, PATIENT_COLUMNS, XRAY_COLUMNS
from osteoray.config.simulation import SimulationConfig
from osteoray.simulation.enrolment import VirtualPatient, enrol
from osteoray.store.tables import write_table


def patient_row(patient: VirtualPatient) -> dict:
    return {
        "patient_id": patient.patient_id,
        "sex": patient.sex,
        "age": patient.age_years,
        "height_cm": patient.height_cm,
        "weight_kg": patient.weight_kg,
        "ct": f"{patient.patient_id}/CT",
        "bone_labels": f"{patient.patient_id}/bone_labels.nii.gz" if patient.labelled else None,
        "target_side": "both",
    }


def xray_rows(patient: VirtualPatient) -> list[dict]:
    return [
        {
            "patient_id": patient.patient_id,
            "xray_id": xray.xray_id,
            "pose": xray.pose,
            "path": f"{patient.patient_id}/XR/{xray.xray_id}.dcm",
        }
        for xray in patient.xrays
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="virtual cohort section as JSON")
    parser.add_argument("--patients", required=True, type=Path, help="patients.tsv to write")
    parser.add_argument("--xrays", required=True, type=Path, help="xrays.tsv to write")
    args = parser.parse_args()
    patients = enrol(SimulationConfig.model_validate_json(args.config))
    write_table(args.patients, map(patient_row, patients), (*PATIENT_COLUMNS, *OPTIONAL_PATIENT_COLUMNS))
    write_table(args.xrays, [row for p in patients for row in xray_rows(p)], XRAY_COLUMNS)


if __name__ == "__main__":
    main()
