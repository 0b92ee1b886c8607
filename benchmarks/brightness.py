"""Can a raw X-ray's brightness tell bone density? Virtual patients, against their true areal density.

Prints Markdown tables: correlations per kind of stored image, and statistics of the population. With `--figure` it
draws what the papers show first: brightness against density, and the true map against density.
Run: python benchmarks/brightness.py --figure brightness.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from osteoray.config.simulation import CtScannerConfig, SimulationConfig, XraySystemConfig
from osteoray.imaging.bones import Side
from osteoray.simulation.body import Body
from osteoray.simulation.dxa import scan_hip
from osteoray.simulation.enrolment import VirtualPatient, enrol
from osteoray.simulation.parts import take_apart
from osteoray.simulation.truth import neutral_density
from osteoray.simulation.truth_maps import shadow
from osteoray.simulation.virtual_body import drawn_body
from osteoray.simulation.xray_examination import examine_xray

STORAGES = ("log", "presentation")
AGES = ((0, 55), (55, 65), (65, 75), (75, 120))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", default=100, type=int, help="how many")
    parser.add_argument("--spacing", default=2.5, type=float, help="voxels of the bodies in mm")
    parser.add_argument("--figure", type=Path, help="PNG to draw")
    args = parser.parse_args()
    config = SimulationConfig(
        patients=args.patients,
        labelled=0,
        xrays_per_patient=1,
        anatomy_spacing_mm=args.spacing,
        ct=CtScannerConfig(),
        xray=XraySystemConfig(rows=240, columns=300, pitch_mm=1.5),
    )
    hips = [hip for patient in enrol(config) for hip in hips_of(config, patient)]
    values = {name: np.array([hip[name] for hip in hips]) for name in hips[0]}
    correlations(values)
    population(values)
    if args.figure:
        draw(values, args.figure)


def hips_of(config: SimulationConfig, patient: VirtualPatient) -> list[dict]:
    """Both hips of a patient: brightness, true densities and what describes the patient."""
    body = drawn_body(config, patient)
    parts = take_apart(body)
    hips = []
    for side in Side:
        density = neutral_density(body.femurs[side], parts.proximal_density[side])
        scan = scan_hip(body.femurs[side], side, parts.femur[side])
        hips.append(
            {"patient": patient.patient_id, "sex": patient.sex, "age": patient.age_years}
            | {"bmi": patient.weight_kg / (patient.height_cm / 100) ** 2, "thickness_mm": thickness_mm(body, side)}
            | {"abmd": density["abmd_g_cm2"], "abmd_qct": density["abmd_g_cm2_qct"]}
            | {"total_hip": scan.total_g_cm2, "neck": scan.neck_g_cm2}
        )
    for storage in STORAGES:
        system = config.xray.model_copy(update={"storage": storage})
        seen = examine_xray(config.model_copy(update={"xray": system}), patient, body, parts, patient.xrays[0])
        stored = seen.image.stored.astype(float)
        middle = stored.shape[1] // 2
        for hip, side in zip(hips, Side, strict=True):
            true = seen.maps_g_cm2[f"proximal_femur_{side}"]
            half = stored[:, middle:] if side == Side.LEFT else stored[:, :middle]
            hip[f"{storage}, proximal femur"] = stored[shadow(true)].mean()
            hip[f"{storage}, half image"] = half.mean()
            hip["map"] = true[shadow(true)].mean()
    return hips


def thickness_mm(body: Body, side: Side) -> float:
    """Tissue in the AP direction through the neck of a femur."""
    k, _, i = np.rint(body.grid.index_from_world @ np.append(body.femurs[side].neck_centre_mm, 1.0))[:3].astype(int)
    inside = body.adipose_g_cm3[k, :, i] + body.lean_g_cm3[k, :, i] > 0.3
    return float(inside.sum() * body.grid.spacing_mm[1])


def of_patients(values: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Mean of both hips; hips come in pairs."""
    return values[name].reshape(-1, 2).mean(axis=1)


def correlations(values: dict[str, np.ndarray]) -> None:
    abmd, thickness = of_patients(values, "abmd"), of_patients(values, "thickness_mm")
    hips = f"{len(values['abmd'])} hips"
    print(f"| brightness against true areal density | PCC, {len(abmd)} patients | PCC, {hips} | with thickness |")
    print("|---|---|---|---|")
    for storage in STORAGES:
        for place in ("proximal femur", "half image"):
            name = f"{storage}, {place}"
            bright = of_patients(values, name)
            by_hip = np.corrcoef(values[name], values["abmd"])[0, 1]
            print(f"| {name} | {pcc(bright, abmd)} | {by_hip:+.2f} | {joint_r(abmd, bright, thickness):.2f} |")
    for name, label in (("map", "true map, in the pose of the X-ray"), ("abmd_qct", "ideal QCT, neutral view")):
        by_hip = np.corrcoef(values[name], values["abmd"])[0, 1]
        print(f"| {label} | {pcc(of_patients(values, name), abmd)} | {by_hip:+.3f} | |")
    print(f"| thickness alone | {pcc(thickness, abmd)} | | |\n")


def pcc(found: np.ndarray, true: np.ndarray) -> str:
    """Correlation with its 95 % interval (Fisher's z)."""
    r = float(np.corrcoef(found, true)[0, 1])
    half = 1.96 / np.sqrt(max(len(found) - 3, 1))
    low, high = np.tanh(np.arctanh(min(abs(r), 1 - 1e-9)) * np.sign(r) + np.array([-half, half]))
    return f"{r:+.3f} ({low:+.2f} to {high:+.2f})"


def joint_r(target: np.ndarray, *columns: np.ndarray) -> float:
    """Multiple correlation of a linear model."""
    design = np.stack([np.ones(len(target)), *columns], axis=1)
    fitted = design @ np.linalg.lstsq(design, target, rcond=None)[0]
    return float(np.corrcoef(fitted, target)[0, 1])


def population(values: dict[str, np.ndarray]) -> None:
    print("| group | patients | total hip g/cm² | neck g/cm² | proximal femur g/cm² | ideal QCT g/cm² | BMI kg/m² |")
    print("|---|---|---|---|---|---|---|")
    groups = [("all", np.ones(len(values["age"]), bool))]
    groups += [(f"{sex}, {low} to {high - 1}", (values["sex"] == sex) & (values["age"] >= low) & (values["age"] < high))
               for sex in "FM" for low, high in AGES]  # fmt: skip
    for label, chosen in groups:
        if chosen.any():
            cells = [f"{values[n][chosen].mean():.3f} ± {values[n][chosen].std():.3f}"
                     for n in ("total_hip", "neck", "abmd", "abmd_qct")]  # fmt: skip
            bmi = f"{values['bmi'][chosen].mean():.1f} ± {values['bmi'][chosen].std():.1f}"
            print(f"| {label} | {chosen.sum() // 2} | {' | '.join(cells)} | {bmi} |")
    print()


def draw(values: dict[str, np.ndarray], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    abmd = of_patients(values, "abmd")
    names = ("log, proximal femur", "presentation, proximal femur", "map")
    titles = ("raw X-ray, log attenuation", "raw X-ray, for presentation", "true map of the same X-ray")
    for axis, name, title in zip(axes, names, titles, strict=True):
        found = of_patients(values, name)
        axis.scatter(abmd, found, s=14, color="#35608d")
        axis.set_title(f"{title}: PCC {np.corrcoef(found, abmd)[0, 1]:+.2f}")
        axis.set_xlabel("true areal density, neutral view (g/cm²)")
        axis.set_ylabel("mean over the shadow (g/cm²)" if name == "map" else "mean pixel value, proximal femur")
        axis.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
