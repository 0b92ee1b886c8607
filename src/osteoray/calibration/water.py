"""A cylinder of water tells how far a scanner's correction of beam hardening is off: middle and rim read differently.

Where rays that meet p cm are misread by c p², a cylinder of radius R reads wrong by -(8 c / pi) sqrt(R² - r²) at the
distance r from its axis (Abel's inversion of the squared chords). Rods of bone in the water darken what lies between
them, by as much as the scanner leaves of bone's beam hardening.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Shaped
from scipy import ndimage

from osteoray.calibration.hardening import BONE_HU, Hardening, unit_errors_hu
from osteoray.calibration.physics import CT_KVP
from osteoray.calibration.protocol import Protocol
from osteoray.errors.unreadable import Withheld
from osteoray.imaging.volume import Volume

INSIDE_HU = -500.0
"""Half-way between air and water."""
OPENING_MM = 8.0
"""What is thinner does not belong to the cylinder: the couch that it lies on, a stand."""
SHORTEST_MM, THINNEST_MM = 20.0, 160.0
"""Length, without its ends, and diameter of the smallest cylinder that tells anything."""
END_MM = 15.0
"""Left out at both ends: a lid, and slices that it half fills."""
SAME_AREA, ROUND = 0.02, 0.02
"""Share by which the slices' areas, and the axes of each, may differ."""
FARTHEST = 0.04
"""Share of the radius by which the farthest pixel may lie beyond it: a disc that the field of view cuts has corners."""
UNMEASURED_HU, MOST_UNMEASURED = -1024, 0.3
"""What ingest writes outside the field of view, and the largest share of it in the rim of air around the cylinder."""
WALL_MM = 15.0
"""Left out below the surface: a wall of plastic and the blurred edge."""
RINGS = 12
PLAUSIBLE_HU = -100.0, 150.0
"""Water, or a plastic that stands for it."""
MOST_RESIDUAL_HU = 2.0
"""Largest distance of a ring from the fit; an insert or a bubble makes more."""
MOST_DROP_HU = 30.0
"""Largest difference of middle and rim: no scanner in use is so far off."""
REFERENCE_RADIUS_CM = 20.0
"""Errors are compared by what they do to the middle of a cylinder of 40 cm of water."""
MOST_ERROR_HU, MOST_DIFFERENCE_HU = 1.0, 1.0
"""Largest standard error of one cylinder, and largest difference of two of one scanner and voltage, there."""
ROD_HU, SMALLEST_ROD_MM2 = 250.0, 80.0
"""What reads higher in the mean of all slices is a rod of bone, if it is as large."""
LONGEST_ROD_MM = 60.0
"""What is longer across is no rod: a dense wall, or a cylinder that is none of water."""
ROD_EDGE_MM = 6.0
"""How far beyond what reads so high a rod's blurred edge is mineral."""
DENSEST_ROD_HU = 1900.0
"""A rod that reads higher is more than the model of bone holds."""
AROUND_ROD_MM = 12.0
"""Left out around a rod: its blurred edge, and errors that change faster than the pixels of the model."""
SECTORS, FEWEST_PARTS = 12, 72
"""Of each ring, where rods lie in the water, and how many of all sectors must be free of them."""
PASSES = 3
"""The error changes what the rods read, and by that itself."""
PLAUSIBLE_SHARE = -0.3, 1.3
"""Of bone's error: from a scanner that mends too much to one that corrects for water alone, give or take."""
MOST_SHARE_ERROR, MOST_SHARE_DIFFERENCE = 0.03, 0.08
"""Largest standard error of one cylinder, and largest difference of two of one scanner and voltage."""
COLUMNS = (
    "water", "scanner", "kvp", "kernel", "diameter_mm", "middle_less_rim_hu", "relative", "residual_hu", "bone_share",
    "code", "detail",
)  # fmt: skip


@dataclass(frozen=True)
class WaterCylinder:
    """What one scan of a cylinder told.

    Attributes:
        protocol: scanner, voltage and kernel that it stands for.
        diameter_mm: of the cylinder.
        middle_less_rim_hu: negative where the scanner cups.
        relative: attenuation over that of water, by the reading of its rim.
        residual_hu: largest distance of a ring, or of a ring's sector, from the fit.
        bone_share: of bone's beam hardening that is left; None without rods of bone.
    """

    protocol: Protocol
    diameter_mm: float
    middle_less_rim_hu: float
    relative: float
    residual_hu: float
    bone_share: float | None = None

    @property
    def quadratic_per_cm(self) -> float:
        """The error of a ray over its squared path in cm of water."""
        radius_cm = self.diameter_mm / 20
        return -self.middle_less_rim_hu / 1000 * np.pi / (8 * radius_cm * self.relative**2)

    @property
    def cupping_hu(self) -> float:
        """How much too low the middle of a cylinder of 40 cm of water reads on this scanner."""
        return self.quadratic_per_cm * 1000 * 8 * REFERENCE_RADIUS_CM / np.pi


def measure_cylinder(volume: Volume, protocol: Protocol) -> WaterCylinder:
    """Fit the cylinder's readings over the distance from its axis, in all slices that show it whole.

    Args:
        volume: HU on an axial grid, the cylinder's axis along k; rods of bone in it, if any, along the same.
        protocol: of the scan.

    Raises:
        Withheld: CAL-WATER, no cylinder, one too short, too thin or not of water, or readings that are not those of a
            uniform one.
    """
    discs = [_disc(plane, volume.grid.spacing_mm[1:]) for plane in volume.array]
    areas_mm2 = np.array([disc.sum() for disc in discs]) * float(np.prod(volume.grid.spacing_mm[1:]))
    usual_mm2 = float(np.median(areas_mm2[areas_mm2 > 0.5 * areas_mm2.max()])) if areas_mm2.any() else 0.0
    whole = _without_ends(np.abs(areas_mm2 - usual_mm2) < SAME_AREA * usual_mm2, float(volume.grid.spacing_mm[0]))
    radius_mm, length_mm = float(np.sqrt(usual_mm2 / np.pi)), len(whole) * float(volume.grid.spacing_mm[0])
    _expect(2 * radius_mm >= THINNEST_MM, f"diameter: expected {THINNEST_MM:g} mm or more, got {2 * radius_mm:.0f} mm")
    _expect(length_mm >= SHORTEST_MM, f"length: expected {SHORTEST_MM:g} mm or more, got {length_mm:.0f} mm")
    distances_mm, hu = [], []
    for k in whole:
        from_axis_mm, squash = _from_axis(discs[k], volume.grid.spacing_mm[1:])
        _expect(squash <= ROUND, f"shape: expected a disc, got axes that differ by {squash:.0%}")
        reach = float(from_axis_mm[discs[k]].max()) / radius_mm - 1
        _expect(reach <= FARTHEST, f"shape: expected a disc, got a point {reach:.0%} beyond its radius")
        _expect(not _is_cut(discs[k], volume.array[k]), "field of view: expected air around the cylinder, got its end")
        kept = from_axis_mm < radius_mm - WALL_MM
        distances_mm.append(from_axis_mm[kept])
        hu.append(volume.array[k][kept])
    mean_hu = volume.array[whole].mean(axis=0, dtype=np.float32)
    rods = _rods(mean_hu, np.logical_and.reduce([discs[k] for k in whole]), volume.grid.spacing_mm[1:])
    if rods.any():
        from_axis_mm = _from_axis(discs[whole[len(whole) // 2]], volume.grid.spacing_mm[1:])[0]
        fit = _fit_with_rods(mean_hu, volume, rods, from_axis_mm, radius_mm, protocol.kvp)
    else:
        fit = _fit(np.concatenate(distances_mm), np.concatenate(hu), radius_mm)
    low, high = PLAUSIBLE_HU
    _expect(low <= fit.rim_hu <= high, f"reading: expected water, {low:g} to {high:g} HU, got {fit.rim_hu:.0f} HU")
    if fit.bone_share is not None:
        told = f"expected {MOST_SHARE_ERROR:g} or less of the error by bone, got {fit.share_error:.3f}"
        _expect(fit.share_error <= MOST_SHARE_ERROR, f"standard error: {told}; use larger or denser rods")
        low, high = PLAUSIBLE_SHARE
        told = f"expected {low:g} to {high:g} of the error by bone, got {fit.bone_share:.2f}"
        _expect(low <= fit.bone_share <= high, f"rods: {told}")
    told = f"expected a smooth change within {MOST_RESIDUAL_HU:g} HU, got {fit.parts} off by {fit.residual_hu:.1f} HU"
    _expect(fit.residual_hu <= MOST_RESIDUAL_HU, f"rim to middle: {told}")
    told = f"expected {MOST_DROP_HU:g} HU at most, got {fit.drop_hu:+.1f} HU"
    _expect(abs(fit.drop_hu) <= MOST_DROP_HU, f"middle less rim: {told}")
    cylinder = WaterCylinder(
        protocol, 2 * radius_mm, fit.drop_hu, 1 + fit.rim_hu / 1000, fit.residual_hu, fit.bone_share
    )
    error_hu = fit.error_hu * 10 * REFERENCE_RADIUS_CM / radius_mm / cylinder.relative**2
    told = f"expected {MOST_ERROR_HU:g} HU or less in the middle of 40 cm, got {error_hu:.1f} HU"
    _expect(error_hu <= MOST_ERROR_HU, f"standard error: {told}; scan a longer or thicker one")
    return cylinder


def _expect(is_met: bool, detail: str) -> None:
    if not is_met:
        raise Withheld("CAL-WATER", f"cylinder of water: {detail}")


def _without_ends(is_whole: Bool[np.ndarray, " k"], slice_mm: float) -> list[int]:
    """Slices of the longest run that shows the cylinder whole, but for `END_MM` at both ends."""
    labels, count = ndimage.label(is_whole)
    if not count:
        return []
    run = np.flatnonzero(labels == 1 + int(np.argmax(np.bincount(labels)[1:])))
    end = int(np.ceil(END_MM / slice_mm))
    return run[end : len(run) - end].tolist()


def _disc(hu: Shaped[np.ndarray, "j i"], spacing_mm: np.ndarray) -> Bool[np.ndarray, "j i"]:
    """The largest thing in a slice, without what is thin and without holes."""
    reach = np.maximum(np.round(OPENING_MM / 2 / spacing_mm), 1).astype(int)
    opened = ndimage.binary_opening(hu > INSIDE_HU, np.ones(2 * reach + 1, bool))
    labels, count = ndimage.label(opened)
    if not count:
        return np.zeros(hu.shape, bool)
    return ndimage.binary_fill_holes(labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:])))


def _is_cut(disc: Bool[np.ndarray, "j i"], hu: Shaped[np.ndarray, "j i"]) -> bool:
    """Whether the image or its field of view ends where the disc does."""
    if disc[[0, -1]].any() or disc[:, [0, -1]].any():
        return True
    # Two pixels away the blurred edge has faded.
    rim = ndimage.binary_dilation(disc, iterations=4) & ~ndimage.binary_dilation(disc, iterations=2)
    return float((hu[rim] <= UNMEASURED_HU).mean()) > MOST_UNMEASURED


def _from_axis(disc: Bool[np.ndarray, "j i"], spacing_mm: np.ndarray) -> tuple[Float[np.ndarray, "j i"], float]:
    """Distance of every pixel from the disc's middle in mm, and by which share its axes differ."""
    points_mm = np.argwhere(disc) * spacing_mm
    middle_mm = points_mm.mean(axis=0)
    short, long = np.sqrt(np.linalg.eigvalsh(np.cov(points_mm.T)))
    rows_mm, columns_mm = (np.arange(n) * mm - c for n, mm, c in zip(disc.shape, spacing_mm, middle_mm, strict=True))
    return np.hypot(rows_mm[:, None], columns_mm[None, :]), float(long / short - 1)


def _rods(
    mean_hu: Float32[np.ndarray, "j i"], disc: Bool[np.ndarray, "j i"], spacing_mm: np.ndarray
) -> Bool[np.ndarray, "j i"]:
    """Rods of bone in the water, without what is too small or too long to be one."""
    labels, count = ndimage.label(disc & (mean_hu > ROD_HU))
    areas_mm2 = np.bincount(labels.ravel(), minlength=count + 1) * float(np.prod(spacing_mm))
    boxes = [np.array([axis.stop - axis.start for axis in box]) for box in ndimage.find_objects(labels)]
    is_compact = np.array([False, *(bool((size * spacing_mm < LONGEST_ROD_MM).all()) for size in boxes)])
    return (is_compact & (areas_mm2 >= SMALLEST_ROD_MM2))[labels]


@dataclass(frozen=True)
class _Fit:
    """Middle less rim with its standard error, reading of the rim, largest residual of the parts, in HU; and bone."""

    drop_hu: float
    error_hu: float
    rim_hu: float
    residual_hu: float
    parts: str
    bone_share: float | None = None
    share_error: float = 0.0


def _fit(distance_mm: Float[np.ndarray, " n"], hu: Shaped[np.ndarray, " n"], radius_mm: float) -> _Fit:
    """A cylinder without rods, in rings of equal area."""
    share = (distance_mm / radius_mm) ** 2
    ring = np.minimum((share / share.max() * RINGS).astype(int), RINGS - 1)
    # The profile's mean over each ring is that of its pixels; a bubble pulls the mean of its ring and shows there.
    depth = np.bincount(ring, np.sqrt(1 - share), RINGS) / np.bincount(ring, minlength=RINGS)
    reading = np.bincount(ring, hu, RINGS) / np.bincount(ring, minlength=RINGS)
    (drop_hu, rim_hu), covariance = np.polyfit(depth, reading, 1, cov=True)
    residual_hu = float(np.abs(reading - (drop_hu * depth + rim_hu)).max())
    return _Fit(float(drop_hu), float(np.sqrt(covariance[0, 0])), float(rim_hu), residual_hu, "rings")


def _fit_with_rods(
    mean_hu: Float32[np.ndarray, "j i"],
    volume: Volume,
    rods: Bool[np.ndarray, "j i"],
    from_axis_mm: Float[np.ndarray, "j i"],
    radius_mm: float,
    kvp: float | None,
) -> _Fit:
    """A cylinder with rods, in sectors of rings of equal area: water, cupping and bone's error at once."""
    low, high = CT_KVP[0], CT_KVP[-1]
    got = "none" if kvp is None else f"{kvp:g} kV"
    if kvp is None or not low <= kvp <= high:
        raise Withheld("CAL-WATER", f"cylinder of water: rods: expected a voltage of {low} to {high} kV, got {got}")
    densest_hu = float(np.percentile(mean_hu[rods], 95))
    told = f"expected readings up to {DENSEST_ROD_HU:g} HU, got {densest_hu:.0f} HU; use rods of less dense bone"
    _expect(densest_hu <= DENSEST_ROD_HU, f"rods: {told}")
    spacing_mm = volume.grid.spacing_mm[1:]
    away_mm = ndimage.distance_transform_edt(~rods, sampling=spacing_mm)
    kept = (from_axis_mm < radius_mm - WALL_MM) & (away_mm > AROUND_ROD_MM)
    middle = np.unravel_index(int(from_axis_mm.argmin()), from_axis_mm.shape)
    down, aside = (np.arange(n) - m for n, m in zip(mean_hu.shape, middle, strict=True))
    turn = np.arctan2(down[:, None] * spacing_mm[0], aside[None, :] * spacing_mm[1]) / (2 * np.pi) + 0.5
    ring = np.minimum(((from_axis_mm / (radius_mm - WALL_MM)) ** 2 * RINGS).astype(int), RINGS - 1)
    cell = (ring * SECTORS + np.minimum((turn * SECTORS).astype(int), SECTORS - 1))[kept]
    pixels = np.bincount(cell, minlength=RINGS * SECTORS)
    whole = pixels > 0.5 * np.median(pixels[pixels > 0]) if pixels.any() else pixels > 0
    parts = int(np.count_nonzero(whole))
    told = f"expected {FEWEST_PARTS} or more of {pixels.size} parts of rings, got {parts}"
    _expect(parts >= FEWEST_PARTS, f"water between the rods: {told}")
    is_bone = (away_mm < ROD_EDGE_MM) & (mean_hu > BONE_HU)
    weight = np.sqrt(pixels[whole])
    clean_hu = mean_hu
    solution: np.ndarray = np.zeros(3)
    for _ in range(PASSES):
        # c of 1 / cm is far beyond what an image shows: the column is that of 1 HU from the rim to the middle.
        squared, bone = unit_errors_hu(clean_hu, is_bone, volume, kvp)
        columns = (squared * np.float32(np.pi / (8000 * radius_mm / 10)), bone, np.ones_like(mean_hu), mean_hu)
        means = [np.bincount(cell, image[kept], pixels.size)[whole] / pixels[whole] for image in columns]
        design, reading = np.stack(means[:3], axis=1), means[3]
        solution, *_ = np.linalg.lstsq(design * weight[:, None], reading * weight, rcond=None)
        clean_hu = (mean_hu - solution[0] * columns[0] - solution[1] * bone).astype(np.float32)
    residual_hu = reading - design @ solution
    scatter = float(((residual_hu * weight) ** 2).sum() / (reading.size - 3))
    errors = np.sqrt(scatter * np.diag(np.linalg.inv((design * weight[:, None]).T @ (design * weight[:, None]))))
    rim_hu, relative = float(solution[2]), 1 + float(solution[2]) / 1000
    # `squared` has met what the rim reads, squared; a drop is that of the cylinder as it is.
    drop_hu, drop_error_hu = -float(solution[0]) * relative**2, float(errors[0]) * relative**2
    worst_hu = float(np.abs(residual_hu).max())
    return _Fit(drop_hu, drop_error_hu, rim_hu, worst_hu, "parts of rings", float(solution[1]), float(errors[1]))


def as_row(number: int, cylinder: WaterCylinder) -> dict:
    """A row of the table of cylinders."""
    return {
        "water": number,
        **cylinder.protocol.facts(),
        "diameter_mm": round(cylinder.diameter_mm, 2),
        "middle_less_rim_hu": round(cylinder.middle_less_rim_hu, 4),
        "relative": round(cylinder.relative, 5),
        "residual_hu": round(cylinder.residual_hu, 3),
        "bone_share": "" if cylinder.bone_share is None else round(cylinder.bone_share, 4),
        "code": "",
        "detail": "",
    }


def water_cylinders(rows: Iterable[Mapping[str, str]]) -> list[WaterCylinder]:
    """The cylinders of a table that could be measured."""
    return [
        WaterCylinder(
            Protocol(row["scanner"], float(row["kvp"]) if row["kvp"] else None, row["kernel"]),
            float(row["diameter_mm"]),
            float(row["middle_less_rim_hu"]),
            float(row["relative"]),
            float(row["residual_hu"]),
            float(row["bone_share"]) if row.get("bone_share") else None,
        )
        for row in rows
        if not row["code"]
    ]


def unusable(rows: Iterable[Mapping[str, str]]) -> list[str]:
    """The cylinders of a table that could not be measured, with their codes."""
    return [f"entry {row['water']}: {row['code']}" for row in rows if row["code"]]


def hardening_of(cylinders: Sequence[WaterCylinder], protocol: Protocol, failed: Sequence[str] = ()) -> Hardening:
    """Mean of the errors that cylinders tell of a scanner and voltage, whatever the kernel, which hardens no beam.

    Args:
        cylinders: that were measured.
        protocol: of the CT.
        failed: what could not be measured, for the message.

    Raises:
        Withheld: CAL-WATER, there is no such cylinder, the CT does not tell scanner and voltage, or cylinders differ:
            ingest keeps no serial numbers, so that two scanners of one model cannot be told apart.
    """
    kvp = "unknown kV" if protocol.kvp is None else f"{protocol.kvp:g} kV"
    where, own = f"{protocol.scanner or 'unknown scanner'}, {kvp}", (protocol.scanner, protocol.kvp)
    told = [c for c in cylinders if all(own) and (c.protocol.scanner, c.protocol.kvp) == own]
    if not told:
        others = [f"one of {c.protocol}" for c in cylinders]
        reasons = f" ({'; '.join([*failed, *others])})" if failed or others else ""
        raise Withheld("CAL-WATER", f"{where}: expected a usable cylinder of water, got none{reasons}")
    shares = [c.bone_share for c in told if c.bone_share is not None]
    cause = "two scanners of one model, or a drift"
    apart_hu = max(c.cupping_hu for c in told) - min(c.cupping_hu for c in told)
    if apart_hu > MOST_DIFFERENCE_HU:
        differ = f"within {MOST_DIFFERENCE_HU:g} HU in the middle of 40 cm, got {apart_hu:.1f} HU"
        raise Withheld("CAL-WATER", f"{where}: expected cylinders that agree {differ}; {cause}")
    if shares and max(shares) - min(shares) > MOST_SHARE_DIFFERENCE:
        differ = f"within {MOST_SHARE_DIFFERENCE:g} of the error by bone, got {max(shares) - min(shares):.2f}"
        raise Withheld("CAL-WATER", f"{where}: expected cylinders that agree {differ}; {cause}")
    quadratic_per_cm = float(np.mean([c.quadratic_per_cm for c in told]))
    return Hardening(quadratic_per_cm, float(np.mean(shares)) if shares else None)
