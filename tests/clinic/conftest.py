"""A small cohort as the earlier stages leave it on disk, and the hand-over made of it by the scripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from osteoray.errors.verdict import Finding
from osteoray.imaging.radiograph import Radiograph
from osteoray.imaging.resampling import resize_image
from osteoray.segmentation import validation
from osteoray.store.arrays import write_arrays
from osteoray.store.manifest import Manifest
from osteoray.store.nifti import write_radiograph
from osteoray.store.tables import write_table

ROOT = Path(__file__).resolve().parents[2]
TASKS = ("none", "mp_bd")
SHAPE, SPACING_MM, SIZE = (280, 240), 1.5, 128
CROPS = {"right": [0, 0, 240, 120], "left": [0, 120, 240, 120]}
LEVELS = {"P002": "internal", "P006": "none"}
"""Patients whose CT was not calibrated by a phantom."""
KEYS = ("patient_id", "xray_id", "side", "pose", "rows", "columns")


def femur(abmd: float, rng: np.random.Generator) -> np.ndarray:
    """A map of a right proximal femur without its head, drawn from a shaft, a neck and a trochanter."""
    rows, columns = np.mgrid[0:240, 0:120].astype(float)
    rows += rng.normal(0, 1.5)
    shaft = np.clip(1.1 - np.abs((columns - 45) / 13) ** 3, 0, None) * (rows > 118) * (rows < 172)
    across = (rows - 118) * 0.75 + (columns - 45) * 0.66
    along = (columns - 45) * 0.75 - (rows - 118) * 0.66
    neck = 0.9 * np.clip(1.0 - np.abs(across / 14) ** 3, 0, None) * (along > -18) * (along < 28)
    trochanter = 0.8 * np.clip(1.2 - np.hypot((rows - 116) / 22, (columns - 38) / 15) ** 2, 0, None)
    areal = np.maximum.reduce([shaft, neck, trochanter])
    areal = areal * (1 + 0.06 * rng.normal(size=areal.shape))
    return (areal * abmd / areal[areal > 0.1].mean()).clip(0).astype(np.float32)


def hip_bone(areal: np.ndarray) -> np.ndarray:
    """The femur with its head and a wing of the pelvis."""
    rows, columns = np.mgrid[0:240, 0:120].astype(float)
    head = 0.8 * np.sqrt(np.clip(1 - ((rows - 92) / 17) ** 2 - ((columns - 72) / 17) ** 2, 0, None))
    wing = 0.5 * (np.hypot((rows - 45) / 40, (columns - 78) / 38) < 1) + 0.4 * (
        np.hypot((rows - 45) / 40, (columns - 78) / 38) < 0.9
    )
    shaft = 0.9 * np.clip(1.1 - np.abs((columns - 45) / 13) ** 3, 0, None) * (rows >= 172)
    return areal + head + wing + shaft


class Cohort:
    """Writes what the stages before the read-out leave."""

    def __init__(self, root: Path, patients: int = 8):
        self.root, self.rng = root, np.random.default_rng(5)
        self.people = {}
        self.manifests, self.qct, self.index, self.release, self.maps = [], [], [], [], {task: [] for task in TASKS}
        for number in range(1, patients + 1):
            self.add(f"P{number:03d}", number)
        self.finish()

    def add(self, p: str, number: int) -> None:
        rng = self.rng
        self.people[p] = {"sex": "FM"[number % 4 == 0], "age_years": int(rng.integers(48, 84)),
                          "dxa_bmd_g_cm2": None, "target_side": "both"}  # fmt: skip
        abmd = {side: rng.uniform(0.62, 1.08) for side in ("left", "right")}
        calibrated = p != "P007"
        ingest, halves = self.manifest("ingest", p, f"ingest/{p}/manifest.json"), {}
        laterality = self.manifest("laterality", p, f"laterality/{p}.json")
        entries = []
        for x, pose in (("X1", "standing"), ("X2", "supine")):
            xray = np.zeros(SHAPE, np.float32) + rng.normal(2.2, 0.05)
            xray += 0.9 * np.exp(-(((np.arange(SHAPE[1]) - 120) / 95) ** 4))[None]
            for side, (row, column, rows, columns) in CROPS.items():
                areal = femur(abmd[side] * rng.normal(1, 0.01), rng)
                part = hip_bone(areal)
                place = (slice(row, row + rows), slice(column, column + columns))
                xray[place] += 0.5 * (part[:, ::-1] if side == "left" else part)
                has_map = calibrated and (p, x, side) != ("P003", "X2", "left")
                if has_map:
                    halves[f"{x}_{side}_proximal_femur"] = areal
                entries.append({"xray_id": x, "side": side, "pose": pose, "rows": rows, "columns": columns,
                                "spacing_mm": [SPACING_MM, SPACING_MM], "flipped": side == "left",
                                "crop": CROPS[side]})  # fmt: skip
                self.predict(p, x, side, pose, areal, abmd[side], has_map)
            xray += rng.normal(0, 0.02, SHAPE)
            for side, (row, column, rows, columns) in CROPS.items():
                cut = xray[row : row + rows, column : column + columns]
                halves[f"{x}_{side}_xray"] = np.ascontiguousarray(cut[:, ::-1] if side == "left" else cut)
                self.release.append(halves[f"{x}_{side}_xray"])
            path = ingest.path.parent / f"xrays/{x}.nii.gz"
            write_radiograph(path, Radiograph(xray.astype(np.float32), (SPACING_MM, SPACING_MM)))
            ingest.add_file(f"xray_{x}", path)
        laterality.facts["halves"] = entries
        write_arrays(laterality.path.with_suffix(".npz"), halves)
        laterality.add_file("halves", laterality.path.with_suffix(".npz"))
        self.measure(p, abmd, calibrated)

    def predict(self, p: str, x: str, side: str, pose: str, areal: np.ndarray, abmd: float, has_map: bool) -> None:
        small = resize_image(areal, (SIZE, SIZE // 2))
        row = {"patient_id": p, "xray_id": x, "side": side, "pose": pose, "rows": 240, "columns": 120}
        self.index.append(row | {"midline_from": "hips", "has_bone": 1, "has_proximal_femur": int(has_map)})
        self.release.append(small if has_map else np.full_like(small, np.nan))
        for task, noise in (("none", 0.12), ("mp_bd", 0.05)):
            gain = 1 + noise * self.rng.normal()
            predicted = np.clip(small * gain + 0.05 * self.rng.normal(size=small.shape) * (small > 0), 0, None)
            empty = task == "mp_bd" and (p, x, side) == ("P004", "X1", "right")
            self.maps[task].append((p, row, np.zeros_like(small) if empty else predicted.astype(np.float32)))

    def measure(self, p: str, abmd: dict[str, float], calibrated: bool) -> None:
        calibration = self.manifest("calibration", p, f"calibration/{p}/calibration.json")
        registration = self.manifest("registration", p, f"registration/{p}.json")
        segmentation = self.manifest("segmentation", p, f"segmentation/{p}/segmentation.json")
        densitometry = self.manifest("densitometry", p, f"densitometry/{p}.json")
        if not calibrated:
            calibration.findings.append(Finding("CAL-PHANTOM", "expected 4 rods below the patient, got 0"))
            for later in (registration, segmentation, densitometry):
                later.blocked_by = "calibration"
            self.qct += [{"patient_id": p, "side": s, "verdict": "withheld"} for s in abmd]
            return
        rng = self.rng
        residuals = rng.normal(0, 1.5, 5)
        rods = [
            {"density_mg_cm3": d, "residual_mg_cm3": r} for d, r in zip((0, 50, 100, 150, 200), residuals, strict=True)
        ]
        calibration.facts = {
            "slope_mg_cm3_per_hu": rng.normal(0.78, 0.01),
            "intercept_mg_cm3": 2.0,
            "r2": 0.9995,
            "rods": rods,
        }
        segmentation.facts = {
            "volumes_cm3": {"left_femur": 180.0 + rng.normal(0, 9), "right_femur": 182.0},
            "doubt": {"left_femur": 0.01},
        }
        one = {"similarity": {"pelvis": 0.6, "left_femur": 0.5 + 0.05 * rng.normal()}, "z": 9.0, "agreement_mm": 0.4}
        registration.facts = {"xrays": {"X1": one, "X2": one}}
        densitometry.facts = {side: {"abmd_g_cm2": value} for side, value in abmd.items()}
        if p == "P003":
            registration.findings.append(
                Finding("REG-DISAGREE", "expected searches within 2 mm, got 7.1", "X2", "left")
            )
        if p == "P005":
            for x in ("X1", "X2"):
                registration.findings.append(Finding("POSE-FLEXION", "expected at most 12 deg, got 14.8", x, "left"))
        level = LEVELS.get(p, "phantom")
        self.qct += [
            {"patient_id": p, "side": s, "abmd_g_cm2": v, "calibration_level": level, "verdict": "reported"}
            for s, v in abmd.items()
        ]

    def manifest(self, stage: str, p: str, path: str) -> Manifest:
        self.manifests.append(Manifest(stage, p, self.root / path))
        self.manifests[-1].path.parent.mkdir(parents=True, exist_ok=True)
        return self.manifests[-1]

    def finish(self) -> None:
        for manifest in self.manifests:
            manifest.write()
        folder = self.root / f"laterality/all/{SIZE}"
        columns = (*KEYS, "midline_from", "has_bone", "has_proximal_femur")
        write_table(folder / "index.tsv", self.index, columns)
        maps = [a for a in self.release if a.shape == (SIZE, SIZE // 2)]
        xrays = [resize_image(a, (SIZE, SIZE // 2)) for a in self.release if a.shape != (SIZE, SIZE // 2)]
        # Halves were appended map by map within an X-ray, then X-ray by X-ray in the same order of sides.
        np.save(folder / "proximal_femur.npy", np.stack(maps))
        np.save(folder / "xray.npy", np.stack(xrays))
        fold = {p: i % 2 for i, p in enumerate(self.people)}
        write_table(
            self.root / "folds/all.tsv", [{"patient_id": p, "fold": k} for p, k in fold.items()], ("patient_id", "fold")
        )
        write_table(
            self.root / "densitometry/qct.tsv",
            self.qct,
            ("patient_id", "side", "abmd_g_cm2", "calibration_level", "verdict"),
        )
        epochs = [{"epoch": e, "learning_rate": 1e-3, "loss": 1 / e, "adversary": 0.5 + 0.1 / e} for e in range(1, 9)]
        for task in TASKS:
            base = self.root / f"synthesis/all/{task}/resnet10t/{SIZE}"
            for k in (0, 1):
                held = [(row, areal) for p, row, areal in self.maps[task] if fold[p] == k]
                write_table(base / f"predictions/fold{k}.tsv", [row for row, _ in held], KEYS)
                write_arrays(base / f"predictions/fold{k}.npz", {"maps": np.stack([areal for _, areal in held])})
                write_table(base / f"fold{k}/log.tsv", epochs, tuple(epochs[0]))


def write_validation(root: Path, manifests: list[Path]) -> tuple[list[Path], list[Path]]:
    """Cross-validation of two patients in one fold, one of them unusable, and a picture per segmentation."""
    row = {"patient_id": "P001", "fold": 0, "bone": "left_femur", "dice": 0.97, "asd_mm": 0.4, "hd95_mm": 1.0}
    lost = {"patient_id": "P002", "fold": 0, "code": "SEG-LABELS", "detail": "no such file"}
    table = root / "segmentation/validation.tsv"
    write_table(table, [row | {"volume_error_percent": 1.0, "doubt": 0.01}, lost], validation.COLUMNS)
    run_script("gather_validation", "--folds", table, "--table", table, "--summary",
               table.with_name("validation_summary.tsv"))  # fmt: skip
    pictures = [path.with_name(f"{path.stem}.png") for path in manifests]
    for path in pictures:
        Image.new("RGB", (40, 20)).save(path)
    return [table, table.with_name("validation_summary.tsv")], pictures


def run_script(name: str, *arguments: object) -> None:
    """Run a script as a rule does; whatever it prints is an error of the test."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, str(ROOT / f"scripts/{name}.py"), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder after every script from the read-out to the clinic has run."""
    root = tmp_path_factory.mktemp("results")
    hand_over(root, Cohort(root))
    return root


def hand_over(root: Path, cohort: Cohort) -> None:
    """Run all scripts on the cohort."""
    people = json.dumps(cohort.people)
    manifests = [m.path for m in cohort.manifests]
    of = lambda stage: [m.path for m in cohort.manifests if m.stage == stage]  # noqa: E731
    tables = [root / f"densitometry/all/{task}/resnet10t/{SIZE}/bmd.tsv" for task in TASKS]
    release = root / f"laterality/all/{SIZE}/index.tsv"
    qct = root / "densitometry/qct.tsv"
    predictions = {
        task: [root / f"synthesis/all/{task}/resnet10t/{SIZE}/predictions/fold{k}.tsv" for k in (0, 1)]
        for task in TASKS
    }
    for task, table in zip(TASKS, tables, strict=True):
        run_script("read_bmd", "--predictions", *predictions[task], "--halves", *of("laterality"),
                   "--folds", root / "folds/all.tsv", "--qct", qct, "--patients", people,
                   "--config", json.dumps({"minimum_interval_patients": 3, "minimum_training_maps": 6}),
                   "--output", table)  # fmt: skip
    statistics = root / "statistics"
    run_script("compute_statistics", "--bmd", *tables, "--config", '{"resamples": 200}', "--output-dir", statistics)
    problems = [
        {"patient_id": "P099", "xray_id": "", "code": "TAB-EXCLUDED", "detail": "patients.tsv:9: exclude: withdrawn"}
    ]
    run_script("gather_exclusions", "--manifests", *manifests, "--bmd", tables[-1], "--problems", json.dumps(problems),
               "--exclusions", statistics / "exclusions.tsv", "--stages", statistics / "stages.tsv")  # fmt: skip
    truth = {"stage": "calibration", "quantity": "slope error", "unit": "%", "value": 0.61, "n": 8, "note": "mean"}
    write_table(statistics / "truth.tsv", [truth], tuple(truth))
    tables_of_validation, pictures = write_validation(root, of("segmentation"))
    run_script("build_report", "--bmd", *tables, "--statistics", *sorted(statistics.glob("*.tsv")),
               "--validation", *tables_of_validation, "--segmentations", *of("segmentation"), "--pictures", *pictures,
               "--registrations", *of("registration"), "--max-doubt", "0.02",
               "--predictions", *predictions["none"], *predictions["mp_bd"], "--releases", release,
               "--logs", *sorted(root.glob("synthesis/all/*/*/*/fold*/log.tsv")), "--patients", people,
               "--config", '{"cohort": "A virtual cohort."}', "--output", root / "report/index.html")  # fmt: skip
    run_script("build_clinic", "--bmd", tables[1], "--predictions", *predictions["mp_bd"],
               "--halves", *of("laterality"), "--ingest", *of("ingest"),
               "--qct", qct, "--agreement", statistics / "agreement.tsv",
               "--precision", statistics / "precision.tsv", "--exclusions", statistics / "exclusions.tsv",
               "--patients", people, "--reference", ROOT / "resources/reference_bmd.yaml",
               "--config", json.dumps({"training_population": "Virtual patients."}),
               "--output", root / "clinic/index.html")  # fmt: skip
