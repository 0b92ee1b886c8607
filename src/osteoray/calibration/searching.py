"""The pose of greatest likeness in a whole axial image, on coarse pixels, by correlation in Fourier space.

What lies outside the field of view is left out: the correlation is that of the points that are seen, as in masked
template matching (Padfield, 2012).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
from jaxtyping import Float, Shaped
from scipy.fft import irfft2, next_fast_len, rfft2

from osteoray.calibration.pattern import MIN_SEEN, Pattern, Plane, Pose

COARSE_PIXEL_MM = 3.4
ROLLS_RAD = (-0.1, 0.0, 0.1)
SCALES = (0.92, 1.0, 1.08)
LEAST_SD_HU = 5.0
"""Less variation than this is noise or plain air, not a phantom."""


class CoarseSearch:
    """Correlation with the pattern at every pixel and some rolls and sizes; its kernels are transformed once.

    Args:
        pattern: what to look for.
        plane: of the images.
        sagitta_mm: bend of the pattern.
    """

    def __init__(self, pattern: Pattern, plane: Plane, sagitta_mm: float):
        self.window_hu = pattern.window_hu
        self.factor = max(1, round(COARSE_PIXEL_MM / float(plane.pixel_mm.mean())))
        self.step_mm = plane.pixel_mm * self.factor
        self.first_mm = plane.origin_mm + plane.pixel_mm * (self.factor - 1) / 2
        rows, columns = (n // self.factor for n in plane.is_seen.shape)
        # A clipped slab's middle may lie near the edge: the image is padded by the pattern's reach on all sides.
        points = pattern.points_mm(Pose(0.0, 0.0, 0.0, 1.1, sagitta_mm))
        self.margin = [int(np.abs(points[:, axis]).max() / self.step_mm[axis]) + 4 for axis in (0, 1)]
        self.crop = (slice(rows), slice(columns))
        self.shape = tuple(next_fast_len(n + 2 * m, True) for n, m in zip((rows, columns), self.margin, strict=True))
        self.seen = self._placed(self._reduced(plane.is_seen.astype(np.float32)) > 0.99)
        self.kernels = [
            self._kernel(pattern, Pose(0.0, 0.0, roll_rad, scale, sagitta_mm))
            for roll_rad, scale in product(ROLLS_RAD, SCALES)
        ]

    def best_pose(self, image: Float[np.ndarray, "j i"]) -> tuple[Pose, float]:
        """The pose of greatest likeness, and the likeness."""
        values = self._placed(np.clip(self._reduced(image), *self.window_hu)) * self.seen
        image_f, square_f = rfft2(values), rfft2(values**2)
        best, best_score = self.kernels[0][0], -1.0
        for pose, weight_f, count_f, count, weight_sum, power in self.kernels:
            total, squares = self._correlate(image_f, count_f), self._correlate(square_f, count_f)
            match = self._correlate(image_f, weight_f) - total * weight_sum / count
            variance = np.maximum(squares - total**2 / count, LEAST_SD_HU**2 * count)
            score = np.where(power > 0, match / np.sqrt(variance * np.maximum(power, 1e-6)), -1.0)
            row, column = np.unravel_index(int(score.argmax()), score.shape)
            if score[row, column] > best_score:
                y_mm, x_mm = self.first_mm + self.step_mm * (np.array([row, column]) - self.margin)
                best, best_score = replace(pose, x_mm=float(x_mm), y_mm=float(y_mm)), float(score[row, column])
        return best, best_score

    def _kernel(self, pattern: Pattern, pose: Pose) -> tuple:
        """Transforms of the weights and of their places, and what is seen of them at every pixel."""
        rows, columns = np.round(pattern.points_mm(pose) / self.step_mm).astype(int).T
        weight, count = np.zeros(self.shape, np.float32), np.zeros(self.shape, np.float32)
        expected = (pattern.expected_hu - pattern.expected_hu.mean()).astype(np.float32)
        np.add.at(weight, (rows, columns), expected)
        np.add.at(count, (rows, columns), np.float32(1))
        square = np.zeros(self.shape, np.float32)
        np.add.at(square, (rows, columns), expected**2)
        seen_f, weight_f, count_f = rfft2(self.seen), rfft2(weight).conj(), rfft2(count).conj()
        seen_count = np.maximum(self._correlate(seen_f, count_f), 1.0)
        weight_sum = self._correlate(seen_f, weight_f)
        power = self._correlate(seen_f, rfft2(square).conj()) - weight_sum**2 / seen_count
        power[seen_count < MIN_SEEN * expected.size] = 0.0
        return pose, weight_f, count_f, seen_count, weight_sum, power

    def _reduced(self, image: Shaped[np.ndarray, "j i"]) -> Float[np.ndarray, "r c"]:
        rows, columns = (s.stop for s in self.crop)
        cut = image[: rows * self.factor, : columns * self.factor]
        return cut.reshape(rows, self.factor, columns, self.factor).mean(axis=(1, 3))

    def _placed(self, coarse: Shaped[np.ndarray, "r c"]) -> Float[np.ndarray, "y x"]:
        """The coarse image in the middle of the padded one."""
        padded = np.zeros(self.shape, np.float32)
        (rows, columns), (top, left) = coarse.shape, self.margin
        padded[top : top + rows, left : left + columns] = coarse
        return padded

    def _correlate(self, image_f: np.ndarray, kernel_f: np.ndarray) -> Float[np.ndarray, "y x"]:
        return irfft2(image_f * kernel_f, self.shape)
