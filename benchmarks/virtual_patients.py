"""A page of virtual patients: CT with phantom, X-rays in five poses, and the true maps, of a thin to an obese patient.

Run: python benchmarks/virtual_patients.py --output virtual_patients.png (needs matplotlib; minutes at full resolution)
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
import yaml
from matplotlib import pyplot
from matplotlib.axes import Axes

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts import simulate_patient

from osteoray.config.simulation import CtScannerConfig, SimulationConfig, XraySystemConfig
from osteoray.geometry.affines import apply_affine
from osteoray.simulation.body import Body
from osteoray.simulation.ct_examination import examine_ct
from osteoray.simulation.enrolment import POSES, VirtualPatient, VirtualXray, enrol
from osteoray.simulation.parts import take_apart
from osteoray.simulation.phantom import PhantomDesign
from osteoray.simulation.scanner import CtScan
from osteoray.simulation.xray_examination import XrayExamination, examine_xray

WINDOW_HU = (-160.0, 400.0)
MAP_LIMIT_G_CM2 = 2.0
FIELD_MM = (390.0, 460.0)
"""Shown part of an axial slice: rows, columns."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", default=Path("virtual_patients.png"), type=Path, help="PNG to write")
    parser.add_argument("--coarse", action="store_true", help="a third of the resolution, to try it out")
    parser.add_argument("--storage", default="log", choices=("log", "linear", "presentation"), help="of the X-rays")
    args = parser.parse_args()
    factor = 3 if args.coarse else 1
    config = SimulationConfig(
        patients=100,
        labelled=0,
        anatomy_spacing_mm=1.6 if factor == 1 else 3.0,
        ct=CtScannerConfig(matrix=512 // factor, pixel_mm=0.8 * factor, slice_mm=1.5 * factor),
        xray=XraySystemConfig(
            rows=1500 // factor, columns=1800 // factor, pitch_mm=0.25 * factor, storage=args.storage
        ),
    )
    patients = by_habitus(enrol(config))
    figure, axes = pyplot.subplots(
        6, 3 * 3, figsize=(27, 17), layout="constrained", facecolor="black", height_ratios=(1.25, 1, 1, 1, 1, 1)
    )
    for n, (title, patient) in enumerate(patients.items()):
        show_patient(config, patient, title, axes[:, 3 * n : 3 * n + 3])
    args.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.output, dpi=100, facecolor="black")


def by_habitus(patients: list[VirtualPatient]) -> dict[str, VirtualPatient]:
    """The thinnest, the median and the heaviest of the cohort by body mass index, in all five poses."""
    ordered = sorted(patients, key=bmi)
    xrays = tuple(VirtualXray(f"X{n + 1}", pose) for n, pose in enumerate(POSES))
    chosen = {"thin": ordered[0], "average": ordered[len(ordered) // 2], "obese": ordered[-1]}
    return {name: replace(patient, xrays=xrays) for name, patient in chosen.items()}


def bmi(patient: VirtualPatient) -> float:
    """Body mass index in kg/m²."""
    return patient.weight_kg / (patient.height_cm / 100) ** 2


def show_patient(config: SimulationConfig, patient: VirtualPatient, title: str, axes: np.ndarray) -> None:
    """One patient in three columns: CT on top, below it every pose beside its maps."""
    body = simulate_patient.make_body(config, patient)
    table = (simulate_patient.PHANTOMS / f"{config.ct.phantom}.yaml").read_text(encoding="utf-8")
    ct = examine_ct(config, patient, body, PhantomDesign.from_table(yaml.safe_load(table))).ct
    text = f"{title}: {patient.patient_id}, {patient.sex}, {patient.age_years} y, {bmi(patient):.1f} kg/m²"
    show_ct(ct, body, axes[0], text)
    parts = take_apart(body)
    for row, xray in zip(axes[1:], patient.xrays, strict=True):
        show_xray(examine_xray(config, patient, body, parts, xray), xray.pose, row)


def show_ct(ct: CtScan, body: Body, axes: np.ndarray, text: str) -> None:
    """Slices through the heads and below the trochanters, and a coronal one through the heads."""
    heads_mm = np.mean([femur.head_centre_mm for femur in body.femurs.values()], axis=0)
    k, j, i = np.rint(apply_affine(ct.grid.index_from_world, heads_mm)).astype(int)
    below = max(k - round(60.0 / ct.grid.spacing_mm[0]), 0)
    squeeze = ct.grid.spacing_mm[0] / ct.grid.spacing_mm[2]
    middle, reach = np.array([ct.hu.shape[1] / 2, i]), np.array(FIELD_MM) / ct.grid.spacing_mm[1:] / 2
    rows, columns = (slice(max(int(m - r), 0), int(m + r)) for m, r in zip(middle, reach, strict=True))
    panels = (
        (ct.hu[k, rows, columns], 1.0, text),
        (ct.hu[below, rows, columns], 1.0, "60 mm lower"),
        (ct.hu[::-1, j, columns], squeeze, "coronal"),
    )
    for axis, (image, aspect, label) in zip(axes, panels, strict=True):
        show(axis, image, "gray", WINDOW_HU, label, aspect)


def show_xray(seen: XrayExamination, pose: str, axes: np.ndarray) -> None:
    """The X-ray, the map of all bone and the maps of the proximal femurs."""
    stored = seen.image.stored.astype(float)
    show(axes[0], stored, "gray", tuple(np.percentile(stored, (12, 99.7))), pose)
    maps = seen.maps_g_cm2
    proximal = maps["proximal_femur_left"] + maps["proximal_femur_right"]
    for axis, image, label in ((axes[1], maps["bone"], "bone"), (axes[2], proximal, "proximal femurs")):
        shown = show(axis, image, "inferno", (0.0, MAP_LIMIT_G_CM2), label)
    bar = axes[2].figure.colorbar(shown, ax=list(axes[1:]), shrink=0.85, pad=0.01)
    bar.ax.tick_params(colors="white", labelsize=9)
    bar.set_label("true areal density (g/cm²)", color="white", fontsize=9)


def show(
    axis: Axes, image: np.ndarray, colours: str, limits: tuple[float, float], text: str, aspect: float = 1.0
) -> matplotlib.image.AxesImage:
    axis.set_axis_off()
    axis.set_title(text, color="white", fontsize=11)
    return axis.imshow(image, cmap=colours, vmin=limits[0], vmax=limits[1], aspect=aspect)


if __name__ == "__main__":
    main()
