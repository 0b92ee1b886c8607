"""Femur landmarks against the truth of a virtual cohort, on true masks and on masks with known errors.

Prints Markdown tables. Beside our landmarks stand the plain ways: one least-squares sphere through the medial upper
surface, and the principal axis of the lowest 60 mm as shaft.
Run: python benchmarks/geometry.py TRUTH, with the folder `virtual/truth` of a cohort's results.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from osteoray.errors.unreadable import Withheld
from osteoray.imaging.bones import FEMUR, PROXIMAL_FEMUR, Side
from osteoray.imaging.volume import Volume
from osteoray.segmentation.femur import FemurGeometry, locate_femur
from osteoray.segmentation.proximal_femur import proximal_femur
from osteoray.segmentation.sphere import fit_sphere
from osteoray.segmentation.surface import BoneSurface
from osteoray.store.manifest import read_manifest
from osteoray.store.nifti import read_volume

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.thick_slices import in_thick_slices

CUT_MM, HEAD_CUT_RADII = 20.0, 0.75


@dataclass(frozen=True, eq=False)
class Case:
    """One femur and its truth; the true region counts voxels of the mask."""

    side: Side
    mask: Volume
    truth: dict
    region_mm3: float

    @property
    def from_head_mm(self) -> np.ndarray:
        """Offset of every voxel from the true centre of the head."""
        return self.mask.grid.coordinates_mm() - np.array(self.truth["head_centre_mm"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("truth", type=Path, help="folder with one folder of truth per patient")
    parser.add_argument("--every", default=1, type=int, help="take every n-th femur")
    args = parser.parse_args()
    femurs = list(cases(args.truth))[:: args.every]
    print("| mask | n | head centre mm | neck-shaft angle ° | neck axis ° | shaft axis ° | lower edge mm | region % |")
    print("|---|---|---|---|---|---|---|---|")
    for name, change in MASKS.items():
        report(name, femurs, change)
    plain(femurs)


def cases(folder: Path) -> Iterator[Case]:
    """Both femurs of every patient, cropped."""
    for path in sorted(folder.glob("*/manifest.json")):
        manifest = read_manifest(path)
        bones, regions = read_volume(manifest.file("bones")), read_volume(manifest.file("proximal_femur"))
        for side in Side:
            mask = Volume(bones.array == FEMUR[side], bones.grid)
            region_mm3 = float((regions.array == PROXIMAL_FEMUR[side]).sum()) * bones.grid.voxel_mm3
            yield Case(side, mask.crop_to(mask.array, 8.0), manifest.facts["femur"][side], region_mm3)


def thicker(case: Case) -> Volume:
    return Volume(ndimage.binary_dilation(case.mask.array), case.mask.grid)


def thinner(case: Case) -> Volume:
    padded = np.pad(case.mask.array, 1, mode="edge")
    return Volume(ndimage.binary_erosion(padded)[1:-1, 1:-1, 1:-1], case.mask.grid)


def thick_slices(case: Case) -> Volume:
    """Layers of about 3 mm, full where half of them is."""
    shares = in_thick_slices(case.mask, max(round(3.0 / case.mask.grid.spacing_mm[0]), 1))
    return Volume(shares.array > 0.5, shares.grid)


def rough(case: Case) -> Volume:
    """A surface that is off by 0.9 mm (standard deviation) in patches of some millimetres."""
    array, spacing_mm = case.mask.array, case.mask.grid.spacing_mm
    outside_mm = ndimage.distance_transform_edt(~array, spacing_mm)
    depth_mm = ndimage.distance_transform_edt(array, spacing_mm) - outside_mm
    noise = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(array.shape), 2.5 / spacing_mm)
    return Volume(depth_mm + 0.9 * noise / noise.std() > 0, case.mask.grid)


def without_top(case: Case) -> Volume:
    """The uppermost 8 mm of the head are missing."""
    offset, radius = case.from_head_mm, case.truth["head_radius_mm"]
    top = (offset[..., 2] > radius - 8.0) & (np.linalg.norm(offset, axis=-1) < radius + 4.0)
    return Volume(case.mask.array & ~top, case.mask.grid)


def without_slab(case: Case) -> Volume:
    """A slab of 3 mm through the upper head is missing."""
    offset, radius = case.from_head_mm, case.truth["head_radius_mm"]
    slab = (np.abs(offset[..., 2] - 0.45 * radius) < 1.5) & (np.linalg.norm(offset, axis=-1) < radius + 4.0)
    return Volume(case.mask.array & ~slab, case.mask.grid)


def leaking(case: Case) -> Volume:
    """A lens of the socket, 9 mm thick, is taken for head."""
    offset, radius = case.from_head_mm, case.truth["head_radius_mm"]
    distance = np.linalg.norm(offset, axis=-1)
    upwards = np.array([0.35 if case.side is Side.RIGHT else -0.35, 0.1, 0.93])
    lens = (distance < radius + 9.0) & (distance > radius - 1.0) & (offset @ upwards > 0.88 * distance)
    return Volume(case.mask.array | lens, case.mask.grid)


def true_mask(case: Case) -> Volume:
    return case.mask


MASKS: dict[str, Callable[[Case], Volume]] = {
    "true": true_mask,
    "one voxel larger": thicker,
    "one voxel smaller": thinner,
    "3 mm slices": thick_slices,
    "rough": rough,
    "top of the head missing": without_top,
    "slab of the head missing": without_slab,
    "leak into the socket": leaking,
}


def report(name: str, femurs: list[Case], change: Callable[[Case], Volume]) -> None:
    """One row: medians of absolute errors, 95th percentiles in brackets."""
    rows, codes, start_s = [], [], time.process_time()
    for case in femurs:
        mask = change(case)
        try:
            rows.append(errors(locate_femur(mask, case.side, CUT_MM), case))
        except Withheld as refusal:
            codes.append(refusal.finding.code)
    cells = [f"{np.median(v):.2f} ({np.percentile(v, 95):.2f})" for v in np.abs(np.array(rows)).T] if rows else []
    told = f", {len(codes)} withheld" if codes else ""
    print(f"| {name}{told} | {len(rows)} | {' | '.join(cells)} |", flush=True)
    if change is true_mask:
        print(f"<!-- {(time.process_time() - start_s) / len(femurs):.2f} s of CPU per femur -->", flush=True)


def errors(femur: FemurGeometry, case: Case) -> list[float]:
    """Errors in the order of the table; that of the region by the found landmarks on the true mask."""
    truth = case.truth
    shaft = np.array(truth["shaft_axis"])
    edge_mm = femur.lesser_trochanter.lower_edge_mm - np.array(truth["lesser_trochanter_mm"])
    region_mm3 = proximal_femur(case.mask, femur, CUT_MM, HEAD_CUT_RADII).sum() * case.mask.grid.voxel_mm3
    return [
        float(np.linalg.norm(femur.head.centre_mm - truth["head_centre_mm"])),
        femur.neck_shaft_angle_deg - truth["neck_shaft_angle_deg"],
        angle_deg(femur.neck.axis, np.array(truth["neck_axis"])),
        angle_deg(femur.shaft.direction, shaft),
        float(edge_mm @ shaft),
        100 * float(region_mm3 / case.region_mm3 - 1),
    ]


def plain(femurs: list[Case]) -> None:
    """The same by the plain ways, on true masks."""
    rows = []
    for case in femurs:
        surface = BoneSurface.of(case.mask)
        points, voxels = surface.points(), surface.voxels()
        upper = points[points[:, 2] > points[:, 2].max() - 60.0]
        inward = upper[:, 0] * (1.0 if case.side is Side.RIGHT else -1.0)
        centre, _ = fit_sphere(upper[inward > np.median(inward)])
        low = voxels[voxels[:, 2] < voxels[:, 2].min() + 60.0]
        axis = np.linalg.svd(low - low.mean(axis=0), full_matrices=False)[2][0]
        axis *= np.sign(axis[2])
        shift_mm = np.linalg.norm(centre - case.truth["head_centre_mm"])
        rows.append([float(shift_mm), angle_deg(axis, np.array(case.truth["shaft_axis"]))])
    head, shaft = (f"{np.median(v):.2f} ({np.percentile(v, 95):.2f})" for v in np.array(rows).T)
    print(f"| plain ways, true | {len(rows)} | {head} | | | {shaft} | | |")


def angle_deg(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(a @ b, -1, 1))))


if __name__ == "__main__":
    main()
