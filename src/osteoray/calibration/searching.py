"""The pose of greatest likeness in a whole axial image, on coarse pixels, by correlation in Fourier space."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
from jaxtyping import Float
from scipy.fft import irfft2, next_fast_len, rfft2

from osteoray.calibration.pattern import HU_WINDOW, Pattern, Plane, Pose

COARSE_PIXEL_MM = 3.4
ROLLS_RAD = (-0.1, 0.0, 0.1)
SCALES = (0.92, 1.0, 1.08)


class CoarseSearch:
    """Correlation with the pattern at every pixel and some rolls and sizes; its kernels are transformed once.

    Args:
        pattern: what to look for.
        plane: of the images.
        shape: rows and columns of the images.
        sagitta_mm: bend of the pattern.
    """

    def __init__(self, pattern: Pattern, plane: Plane, shape: tuple[int, int], sagitta_mm: float):
        self.factor = max(1, round(COARSE_PIXEL_MM / float(plane.pixel_mm.mean())))
        self.step_mm = plane.pixel_mm * self.factor
        self.first_mm = plane.origin_mm + plane.pixel_mm * (self.factor - 1) / 2
        self.points = pattern.u_mm.size
        self.power = float(pattern.density_mg_cm3 @ pattern.density_mg_cm3)
        self.coarse_shape = tuple(n // self.factor for n in shape)
        margin = [int(2.4 * pattern.half_width_mm / step) + 2 for step in self.step_mm]
        self.shape = tuple(next_fast_len(n + m, True) for n, m in zip(self.coarse_shape, margin, strict=True))
        self.kernels = []
        for roll_rad, scale in product(ROLLS_RAD, SCALES):
            pose = Pose(0.0, 0.0, roll_rad, scale, sagitta_mm)
            rows, columns = np.round(pattern.points_mm(pose) / self.step_mm).astype(int).T
            weight, count = np.zeros(self.shape, np.float32), np.zeros(self.shape, np.float32)
            np.add.at(weight, (rows, columns), pattern.density_mg_cm3.astype(np.float32))
            np.add.at(count, (rows, columns), np.float32(1))
            self.kernels.append((pose, rfft2(weight).conj(), rfft2(count).conj()))

    def best_pose(self, image: Float[np.ndarray, "j i"]) -> tuple[Pose, float]:
        """The pose of greatest likeness, and the likeness."""
        coarse = np.clip(self._reduced(image), *HU_WINDOW) - HU_WINDOW[0]
        image_f, square_f = rfft2(coarse, self.shape), rfft2(coarse**2, self.shape)
        poses, scores = [], []
        for pose, weight_f, count_f in self.kernels:
            match = self._correlate(image_f, weight_f)
            total, squares = self._correlate(image_f, count_f), self._correlate(square_f, count_f)
            # Less than 5 HU of variation is noise or plain air, not a phantom.
            variance = np.maximum(squares - total**2 / self.points, 25.0 * self.points)
            score = match / np.sqrt(variance * self.power)
            row, column = np.unravel_index(int(score.argmax()), score.shape)
            y_mm, x_mm = self.first_mm + self.step_mm * (row, column)
            poses.append(replace(pose, x_mm=float(x_mm), y_mm=float(y_mm)))
            scores.append(float(score[row, column]))
        best = int(np.argmax(scores))
        return poses[best], scores[best]

    def _reduced(self, image: Float[np.ndarray, "j i"]) -> Float[np.ndarray, "r c"]:
        rows, columns = self.coarse_shape
        cut = image[: rows * self.factor, : columns * self.factor]
        return cut.reshape(rows, self.factor, columns, self.factor).mean(axis=(1, 3))

    def _correlate(self, image_f: np.ndarray, kernel_f: np.ndarray) -> Float[np.ndarray, "r c"]:
        return irfft2(image_f * kernel_f, self.shape)[: self.coarse_shape[0], : self.coarse_shape[1]]
