"""The stages of one virtual patient, run in this process, up to the half X-rays."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

import pytest
from tests.paths import ROOT

from osteoray.config.root import Config
from osteoray.config.simulation import CtScannerConfig, Defect, SimulationConfig, XraySystemConfig
from osteoray.store.manifest import Manifest, read_manifest

STAGES = ("ingest", "calibration", "segmentation", "densitometry", "registration", "projection", "laterality")

PATIENT = "V001"
SEED = 2026

COHORT = SimulationConfig(
    patients=1,
    labelled=1,
    seed=SEED,
    xrays_per_patient=2,
    anatomy_spacing_mm=2.5,
    ct=CtScannerConfig(matrix=224, pixel_mm=2.0, slice_mm=3.0),
    xray=XraySystemConfig(rows=240, columns=300, pitch_mm=1.5),
)


def call(script: str, **arguments: object) -> None:
    """Run a script's main with named arguments."""
    argv = [f"{script}.py"]
    for name, value in arguments.items():
        argv += [f"--{name.replace('_', '-')}", str(value)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", argv)
        import_module(f"scripts.{script}").main()


def run_patient(folder: Path, defects: tuple[Defect, ...] = ()) -> dict[str, Manifest]:
    """Simulate the patient with defects and run every stage; manifests by stage."""
    cohort = COHORT.model_copy(update={"defects": {PATIENT: defects}})
    raw = folder / "raw"
    truth = folder / "truth" / PATIENT / "manifest.json"
    call("simulate_patient", patient=PATIENT, config=cohort.model_dump_json(), raw=raw / PATIENT, output=truth)
    out = {stage: folder / stage / PATIENT / "manifest.json" for stage in STAGES}
    out |= {stage: folder / stage / f"{PATIENT}.json" for stage in ("registration", "densitometry", "laterality")}
    config = Config()
    xrays = json.dumps([{"xray_id": x, "pose": "supine", "path": f"{PATIENT}/XR/{x}.dcm"} for x in ("X1", "X2")])
    source = folder / "source.json"
    rows = {"patient": PATIENT, "raw": raw, "ct": f"{PATIENT}/CT", "xrays": xrays}
    call("record_source", **rows, output=source)
    call("ingest_patient", **rows, source=source, config=config.ingest.model_dump_json(), output=out["ingest"])
    phantom = ROOT / "resources" / "phantoms" / f"{cohort.ct.phantom}.yaml"
    calibration = {"phantom": phantom, "config": config.calibration.model_dump_json(), "output": out["calibration"]}
    call("calibrate_ct", ingest=out["ingest"], **calibration)
    labels = raw / PATIENT / "bone_labels.nii.gz"
    segmentation = {"config": config.segmentation.model_dump_json(), "output": out["segmentation"]}
    call("segment_bones", ingest=out["ingest"], bone_labels=labels, **segmentation)
    upstream = {"calibration": out["calibration"], "segmentation": out["segmentation"]}
    call("measure_qct", **upstream, config=config.qct.model_dump_json(), output=out["densitometry"])
    registration = {"config": config.registration.model_dump_json(), "output": out["registration"]}
    call("register_xrays", ingest=out["ingest"], **upstream, **registration)
    projection = {"config": config.projection.model_dump_json(), "output": out["projection"]}
    call("project_density", **upstream, registration=out["registration"], **projection)
    laterality = {"target_side": "both", "config": config.laterality.model_dump_json(), "output": out["laterality"]}
    later = {"registration": out["registration"], "projection": out["projection"]}
    call("split_halves", ingest=out["ingest"], **later, **laterality)
    return {stage: read_manifest(path) for stage, path in out.items()}


def codes_of(manifests: dict[str, Manifest]) -> dict[str, set[str]]:
    """Reason codes by stage."""
    return {stage: {finding.code for finding in m.findings} for stage, m in manifests.items() if m.findings}
