"""The outline of the body: trunk and thighs below the fat, subcutaneous fat over them, and the folds of the skin."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from osteoray.imaging.bones import Side
from osteoray.simulation.anatomy import AnatomyParameters
from osteoray.simulation.body import FemurTruth

APRON_FROM_BMI = 26.0
"""Above this body mass index a fold of the belly hangs over the groin."""

CROTCH_MM = -82.0
"""Height of the perineum at unit size, at the middle of the body's depth."""

_HEIGHTS_MM = np.array([-130.0, -80.0, -40.0, 0.0, 50.0, 100.0, 150.0, 230.0])
"""Heights above the femoral heads, at unit size, where the trunk below the fat is given."""

_FRONT_MM = np.array([52.0, 58.0, 66.0, 72.0, 80.0, 86.0, 89.0, 92.0])
_BACK_MM = np.array([78.0, 90.0, 98.0, 103.0, 104.0, 98.0, 90.0, 84.0])
_SIDE_MM = np.array([-30.0, -12.0, 0.0, 3.0, -8.0, -26.0, -41.0, -44.0])
"""Half width of the trunk below the fat, relative to the lateral reach of the femurs."""

_CREST_MM, _SACRUM_MM = (142.0, 13.0), 14.0
"""Half width between the iliac crests of template A and what template B adds; how much deeper its sacrum lies."""

_LATERAL_MM, _MEDIAL_MM, _DEPTH_MM = 52.0, 100.0, 72.0
"""Reach of the thigh's flesh from the shaft outwards, inwards, and half its depth, at unit size."""

_SEARCH_MM = 8.0


@dataclass(frozen=True, eq=False)
class Outline:
    """Cross sections of trunk and thighs below the fat at some heights, and the fat over them.

    Attributes:
        heights_mm: z of the cross sections, ascending.
        trunk_mm: half width, front and back reach, per height.
        thighs_mm: per height and thigh (right, left) centre x, centre y, half width, half depth.
        fat_mm: thickness of fat at front, side and back.
        apron_mm: how far the fold of the belly hangs forward over the groin.
        size: of the skeleton.
    """

    heights_mm: Float[np.ndarray, "k"]
    trunk_mm: Float[np.ndarray, "k 3"]
    thighs_mm: Float[np.ndarray, "k 2 4"]
    fat_mm: tuple[float, float, float]
    apron_mm: float
    size: float

    def thickened(self, fat_mm: tuple[float, float, float]) -> Outline:
        """The outline with fat at front, side and back added."""
        front, side, back = (a + b for a, b in zip(self.fat_mm, fat_mm, strict=True))
        return replace(self, fat_mm=(front, side, back))

    def core_mm(self, points_mm: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n"]:
        """Approximate signed distance to the body below the fat, negative inside; taken along radii.

        Trunk and thighs are joined smoothly; the perineum slopes from the pubis to the fold below the buttocks.
        """
        x, y, z = np.moveaxis(points_mm, -1, 0)
        width, front, back = self._at(z, self.trunk_mm)
        ratio = (np.abs(x) / width) ** 2.3 + (np.abs(y) / np.where(y < 0, front, back)) ** 2.3
        trunk = _along_radius(ratio ** (1 / 2.3), np.hypot(x, y))
        trunk = _smooth_max(trunk, 0.9 * (CROTCH_MM * self.size - 0.4 * y - z), 24.0)
        # Upwards the thighs fade into the trunk, slowly at first, so that the hip has no edge.
        above = np.maximum(z - 10.0 * self.size, 0.0)
        faded = 0.4 * (z - 10.0 * self.size) + above**2 / 120.0
        thighs = np.full(x.shape, np.inf)
        for n in range(2):
            centre_x, centre_y, half_width, half_depth = self._at(z, self.thighs_mm[:, n])
            dx, dy = x - centre_x, y - centre_y
            flesh = _along_radius(np.hypot(dx / half_width, dy / half_depth), np.hypot(dx, dy))
            thighs = np.minimum(thighs, _smooth_max(flesh, faded, 45.0))
        return -_smooth_max(-trunk, -thighs, 26.0)

    def fat_thickness_mm(self, points_mm: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n"]:
        """Thickness of the fat: more at buttock and flank, less over sacrum and trochanter and on the thigh."""
        x, y, z = np.moveaxis(points_mm / self.size, -1, 0)
        x = np.abs(x)
        thigh = smooth_step(-z, 20.0, 130.0)
        across, along = (x - 100.0 * thigh) / 170.0, (y - 12.0 * thigh) / 110.0
        norm = np.maximum(across**2 + along**2, 1e-4)
        sideways, front, back = across**2 / norm, np.minimum(along, 0) ** 2 / norm, np.maximum(along, 0) ** 2 / norm
        buttock = np.exp(-(((x - 65.0) / 55.0) ** 2) - ((z + 30.0) / 60.0) ** 2)
        sacrum = np.exp(-((x / 30.0) ** 2) - ((z - 60.0) / 60.0) ** 2)
        trochanter = np.exp(-((z + 25.0) ** 2 + 0.5 * (y - 15.0) ** 2) / 45.0**2)
        flank = np.exp(-(((z - 125.0) / 45.0) ** 2))
        medial = smooth_step(-across, 0.0, 0.3) * thigh
        thickness = self.fat_mm[0] * front * (1.0 - 0.45 * thigh)
        thickness += (
            self.fat_mm[1]
            * sideways
            * (1.0 - 0.4 * trochanter + 0.08 * flank - 0.2 * thigh - 0.35 * medial)
            * (1.0 - 0.35 * smooth_step(along, 0.2, 0.9))
        )
        thickness += self.fat_mm[2] * back * (1.0 + 0.4 * buttock - 0.5 * sacrum - 0.25 * thigh)
        return thickness + self._apron(x, y, z)

    def _apron(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Forward reach of the belly's fold: it ends sharply along an arc from groin to groin."""
        arc = -45.0 + 60.0 * (x / 130.0) ** 2
        upwards = np.exp(-(np.maximum((z - arc - 45.0) / 70.0, 0.0) ** 2))
        under = smooth_step(z - arc, -5.0, 5.0)
        return self.apron_mm * under * upwards * smooth_step(-y, -10.0, 60.0) * np.exp(-((x / 115.0) ** 2))

    def skin_mm(self, points_mm: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n"]:
        """Approximate signed distance to the skin, negative inside, with gluteal cleft, gluteal fold and groin."""
        x, y, z = np.moveaxis(points_mm / self.size, -1, 0)
        skin = self.core_mm(points_mm) - self.fat_thickness_mm(points_mm)
        outwards = smooth_step(skin, -35.0, -5.0)
        cleft = smooth_step(-z, -15.0, 20.0) * smooth_step(y, 55.0, 85.0) * np.exp(-((x / 7.0) ** 2))
        fold = smooth_step(y, 35.0, 70.0) * np.exp(
            -(((z + 106.0 - 0.15 * (np.abs(x) - 60.0)) / 9.0) ** 2) - ((np.abs(x) - 60.0) / 40.0) ** 2
        )
        groin_z = -52.0 + 0.75 * (np.abs(x) - 40.0)
        groin = smooth_step(-y, 30.0, 60.0) * np.exp(-(((z - groin_z) / 8.0) ** 2)) * (np.abs(x) > 20.0)
        return skin + outwards * (26.0 * cleft + 6.0 * fold + 4.0 * groin)

    def _at(self, z: np.ndarray, table: Float[np.ndarray, "k c"]) -> list[np.ndarray]:
        """Columns of a table at other heights."""
        return [np.interp(z, self.heights_mm, column) for column in table.T]

    def reach_mm(self) -> Float[np.ndarray, "3"]:
        """Largest half width, front and back reach."""
        far = float(self.trunk_mm.max() + np.abs(self.thighs_mm).max() + sum(self.fat_mm) + self.apron_mm)
        across, heights = np.arange(-far, far, _SEARCH_MM), self.heights_mm[:: max(len(self.heights_mm) // 40, 1)]
        points = np.stack(np.meshgrid(heights, across, across, indexing="ij")[::-1], axis=-1)
        inside = points[self.skin_mm(points) < 0.0]
        reach = np.array([np.abs(inside[:, 0]).max(), -inside[:, 1].min(), inside[:, 1].max()])
        return reach + _SEARCH_MM


def core_outline(
    heights_mm: Float[np.ndarray, "k"], parameters: AnatomyParameters, femurs: dict[Side, FemurTruth], reach_mm: float
) -> Outline:
    """Outline of the body below the subcutaneous fat.

    Args:
        heights_mm: z of the slices; the femoral heads are at 0.
        parameters: size, weight and muscles.
        femurs: the thighs follow their shafts.
        reach_mm: lateral reach of the greater trochanters.
    """
    size, bmi = parameters.size, parameters.bmi
    belly = np.clip(1.7 * (bmi - 23.0), -14.0, 30.0) * smooth_step(heights_mm / size, 10.0, 110.0)
    columns = (reach_mm + _SIDE_MM * size, _FRONT_MM * size, _BACK_MM * size)
    width, front, back = (np.interp(heights_mm, _HEIGHTS_MM * size, column) for column in columns)
    width, back = _around_bones(heights_mm, parameters, width + 0.45 * belly, back)
    trunk = np.stack([width, front + belly, back], axis=1)
    girth = size * parameters.muscle_scale * (0.96 if parameters.sex == "F" else 1.02)
    taper = 0.08 * np.maximum(CROTCH_MM * size - heights_mm, 0.0)
    thighs = np.empty((len(heights_mm), 2, 4))
    for n, side in enumerate((Side.RIGHT, Side.LEFT)):
        femur, outward = femurs[side], 1.0 if side == Side.LEFT else -1.0
        along = (heights_mm - femur.shaft_point_mm[2]) / femur.shaft_axis[2]
        shaft_x = outward * (femur.shaft_point_mm[0] + along * femur.shaft_axis[0])
        lateral = np.minimum(shaft_x + _LATERAL_MM * girth, reach_mm + 6.0 * size) - 0.4 * taper
        # The thighs almost touch below the perineum and part from there on.
        parted = smooth_step(CROTCH_MM - heights_mm / size, 0.0, 170.0)
        medial = 13.0 * size + parted * np.maximum(shaft_x - _MEDIAL_MM * girth - 13.0 * size, 0.0) + taper
        thighs[:, n, 0] = outward * (lateral + medial) / 2
        thighs[:, n, 1] = femur.shaft_point_mm[1] + along * femur.shaft_axis[1] + 8.0 * size
        thighs[:, n, 2] = (lateral - medial) / 2
        thighs[:, n, 3] = _DEPTH_MM * girth - taper
    apron_mm = float(np.clip(2.0 * (bmi - APRON_FROM_BMI), 0.0, 45.0))
    return Outline(heights_mm, trunk, thighs, (0.0, 0.0, 0.0), apron_mm, size)


def _around_bones(
    heights_mm: Float[np.ndarray, "k"],
    parameters: AnatomyParameters,
    width_mm: Float[np.ndarray, "k"],
    back_mm: Float[np.ndarray, "k"],
) -> tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k"]]:
    """Half width and back reach that keep iliac crests and sacrum inside the skin."""
    height = heights_mm / parameters.size
    crest = (_CREST_MM[0] + _CREST_MM[1] * parameters.pelvis_blend) * parameters.pelvis_width * parameters.size
    # The skin over the crests is thin: they reach into what is fat elsewhere.
    crest -= min(0.6 * parameters.fat_mm[1], 14.0)
    beside = smooth_step(height, 35.0, 80.0) * (1.0 - smooth_step(height, 125.0, 180.0))
    behind = smooth_step(height, -40.0, 10.0) * (1.0 - smooth_step(height, 110.0, 170.0))
    tilted = np.maximum(-height * np.sin(np.radians(parameters.pelvic_tilt_deg)), 0.0)
    deeper = (_SACRUM_MM * max(parameters.pelvis_blend, 0.0) + tilted) * behind * parameters.size
    return width_mm + beside * np.maximum(crest - width_mm, 0.0), back_mm + deeper


def smooth_step(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth in between."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _along_radius(ratio: np.ndarray, radius_mm: np.ndarray) -> np.ndarray:
    """Distance to a star-shaped curve along the radius, from the ratio of the radius to the curve's."""
    return (1.0 - 1.0 / np.maximum(ratio, 1e-3)) * np.maximum(radius_mm, 1.0)


def _smooth_max(a: np.ndarray, b: np.ndarray, blend_mm: float) -> np.ndarray:
    """Larger of two distances, rounded where they differ by less than `blend_mm`."""
    h = np.maximum(blend_mm - np.abs(a - b), 0.0)
    return np.maximum(a, b) + 0.25 * h * h / blend_mm
