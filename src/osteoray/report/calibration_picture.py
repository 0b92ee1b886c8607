"""Picture of a calibration: slices with the circles that were read, and the line through the rods."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from osteoray.imaging.volume import Volume

SIZE = (920, 500)
SLICE_SIZE = (440, 150)
WINDOW_HU = (-150.0, 400.0)
CROP_MM = (200.0, 68.0)
"""Width and height of what a slice shows around the phantom."""
INK, PAPER, MUTED, READ, FIT = "#1f2933", "#ffffff", "#7b8794", "#f7c948", "#2b6cb0"


def calibration_picture(
    volume: Volume, centres_mm: Float[np.ndarray, "levels k 2"], radius_mm: float, core_fraction: float, facts: dict
) -> Image.Image:
    """Draw three slices of the used length and the calibration line.

    Args:
        volume: HU on an axial grid.
        centres_mm: LPS (y, x) of every level in every slice.
        radius_mm: of a rod.
        core_fraction: part of it that was averaged.
        facts: of the calibration's manifest.
    """
    picture = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(picture)
    low_mm, high_mm = facts["used_z_mm"]
    first_mm, spacing_mm = volume.grid.world_from_index[2, 3], volume.grid.spacing_mm[0]
    for panel, share in enumerate((0.85, 0.5, 0.15)):
        z_mm = low_mm + share * (high_mm - low_mm)
        k = round((z_mm - first_mm) / spacing_mm)
        top = 10 + panel * (SLICE_SIZE[1] + 12)
        picture.paste(_slice(volume, k, centres_mm[:, k], radius_mm, core_fraction), (10, top))
        draw.text((16, top + 4), f"z {first_mm + spacing_mm * k:.0f} mm", "#ffffff", _font(13))
    _plot(draw, (515, 60, 900, 400), facts)
    _words(draw, facts)
    return picture


def _slice(
    volume: Volume, k: int, centres_mm: Float[np.ndarray, "levels 2"], radius_mm: float, core_fraction: float
) -> Image.Image:
    middle_y, middle_x = centres_mm.mean(axis=0)
    origin_y, origin_x = volume.grid.world_from_index[[1, 0], 3]
    pixel_y, pixel_x = volume.grid.spacing_mm[1:]
    grey = np.clip((volume.array[k] - WINDOW_HU[0]) / (WINDOW_HU[1] - WINDOW_HU[0]), 0, 1) * 255
    left_mm, top_mm = middle_x - CROP_MM[0] / 2, middle_y - CROP_MM[1] / 2
    # Affine of PIL: input pixel of every output pixel.
    scale = CROP_MM[0] / SLICE_SIZE[0]
    transform = (
        scale / pixel_x, 0.0, (left_mm - origin_x) / pixel_x + 0.5,
        0.0, scale / pixel_y, (top_mm - origin_y) / pixel_y + 0.5,
    )  # fmt: skip
    image = Image.fromarray(grey.astype(np.uint8))
    image = image.transform(SLICE_SIZE, Image.Transform.AFFINE, transform, Image.Resampling.BILINEAR).convert("RGB")
    draw = ImageDraw.Draw(image)
    for y_mm, x_mm in centres_mm:
        x, y = (x_mm - left_mm) / scale, (y_mm - top_mm) / scale
        for radius, width in ((radius_mm / scale, 1), (core_fraction * radius_mm / scale, 2)):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=READ, width=width)
    return image


def _plot(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], facts: dict) -> None:
    left, top, right, bottom = box
    hu = np.array([rod["mean_hu"] for rod in facts["rods"]])
    density = np.array([rod["density_mg_cm3"] for rod in facts["rods"]])
    x_range, y_range = _padded(hu), _padded(density)

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            left + (x - x_range[0]) / (x_range[1] - x_range[0]) * (right - left),
            bottom - (y - y_range[0]) / (y_range[1] - y_range[0]) * (bottom - top),
        )

    draw.line((left, top, left, bottom, right, bottom), fill=INK, width=1)
    for x in _ticks(*x_range):
        px, _ = place(x, 0)
        draw.line((px, bottom, px, bottom + 5), fill=INK)
        draw.text((px, bottom + 8), f"{x:g}", INK, _font(13), anchor="ma")
    for y in _ticks(*y_range):
        _, py = place(0, y)
        draw.line((left - 5, py, left, py), fill=INK)
        draw.text((left - 9, py), f"{y:g}", INK, _font(13), anchor="rm")
    draw.text(((left + right) / 2, bottom + 28), "HU", INK, _font(14), anchor="ma")
    draw.text((left - 40, top - 24), "mg/cm3 HA", INK, _font(14))
    slope, intercept = facts["slope_mg_cm3_per_hu"], facts["intercept_mg_cm3"]
    draw.line([place(x, slope * x + intercept) for x in (hu.min(), hu.max())], fill=FIT, width=2)
    for x, y in zip(hu, density, strict=True):
        px, py = place(x, y)
        draw.ellipse((px - 5, py - 5, px + 5, py + 5), fill=READ, outline=INK)


def _words(draw: ImageDraw.ImageDraw, facts: dict) -> None:
    sign = "+" if facts["intercept_mg_cm3"] >= 0 else "−"
    equation = f"density = {facts['slope_mg_cm3_per_hu']:.4f} · HU {sign} {abs(facts['intercept_mg_cm3']):.2f}"
    draw.text((480, 8), f"{facts['phantom']}: {equation}", INK, _font(17))
    lines = (
        f"r2 {facts['r2']:.5f}   largest residual {facts['max_residual_mg_cm3']:.1f} mg/cm3",
        f"{facts['used_length_mm']:.0f} mm used, slope drift {100 * facts['drift']['slope_fraction']:.1f} %",
    )
    for row, text in enumerate(lines):
        draw.text((515, 452 + 20 * row), text, MUTED, _font(14))


def _padded(values: Float[np.ndarray, " n"]) -> tuple[float, float]:
    margin = 0.08 * float(np.ptp(values)) + 1e-6
    return float(values.min()) - margin, float(values.max()) + margin


def _ticks(low: float, high: float) -> list[float]:
    step = 50.0 if high - low > 120 else 20.0
    return [float(value) for value in np.arange(np.ceil(low / step) * step, high, step) + 0.0]


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
