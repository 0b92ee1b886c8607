"""Write patients.tsv and xrays.tsv of the virtual cohort, as a hospital would hand them over."""

from __future__ import annotations

import argparse
from pathlib import Path

from osteoray.config.cohort import OPTIONAL_PATIENT_COLUMNS, PATIENT_COLUMNS, XRAY_COLUMNS
from osteoray.config.simulation import SimulationConfig
from osteoray.simulation.enrolment import VirtualPatient, enrol
from osteoray.store.manifest import read_manifest
from osteoray.store.tables import write_table


def patient_row(patient: VirtualPatient, dxa_bmd: dict[str, float]) -> dict:
    return {
        "patient_id": patient.patient_id,
        "sex": patient.sex,
        "age": patient.age_years,
        "height_cm": patient.height_cm,
        "weight_kg": patient.weight_kg,
        "ct": f"{patient.patient_id}/CT",
        "bone_labels": f"{patient.patient_id}/bone_labels.nii.gz" if patient.labelled else None,
        "target_side": "both",
        "dxa_bmd": dxa_bmd.get(patient.patient_id),
    }


def total_hips(manifests: list[Path]) -> dict[str, float]:
    """Total hip by DXA in g/cm², the mean of both sides, of the patients whose truth is given."""
    hips = {}
    for path in manifests:
        truth = read_manifest(path)
        if not truth.is_withheld:
            values = [hip["total_hip_g_cm2"] for hip in truth.facts["dxa"].values()]
            hips[truth.patient_id] = round(sum(values) / len(values), 3)
    return hips


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
    parser.add_argument("--manifests", default=[], nargs="*", type=Path, help="manifests of the truth, for dxa_bmd")
    args = parser.parse_args()
    patients = enrol(SimulationConfig.model_validate_json(args.config))
    dxa_bmd = total_hips(args.manifests)
    write_table(
        args.patients, [patient_row(p, dxa_bmd) for p in patients], (*PATIENT_COLUMNS, *OPTIONAL_PATIENT_COLUMNS)
    )
    write_table(args.xrays, [row for p in patients for row in xray_rows(p)], XRAY_COLUMNS)


if __name__ == "__main__":
    main()
