"""Picture of a registration: the outlines of the projected bones on the X-ray."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

from osteoray.geometry.camera import Camera
from osteoray.imaging.radiograph import Radiograph
from osteoray.imaging.resampling import resize_image

HEIGHT_PIXELS = 700
COLOURS = {"pelvis": (0, 220, 230), "left_femur": (255, 150, 30), "right_femur": (90, 230, 70)}
"""Red, green, blue of each bone's outline."""
REFUSED = (255, 60, 60)
DASH_PIXELS = 6


def picture_camera(camera: Camera) -> Camera:
    """The X-ray's camera with the pixels of the picture, which are square."""
    rows_mm, columns_mm = (n * pitch for n, pitch in zip(camera.shape, camera.pitch_mm, strict=True))
    return camera.resized((HEIGHT_PIXELS, max(round(HEIGHT_PIXELS * columns_mm / rows_mm), 1)))


def registration_picture(
    radiograph: Radiograph,
    silhouettes: dict[str, Bool[np.ndarray, "rows columns"]],
    shape: tuple[int, int],
    refused: frozenset[str] = frozenset(),
) -> Image.Image:
    """Draw outlines on an X-ray: whole ones of trusted bones, dashed red ones of those that are refused.

    Args:
        radiograph: log attenuation; bone is drawn bright.
        silhouettes: pixels of the picture that each bone covers, by names in `COLOURS`.
        shape: rows and columns of the picture, see `picture_camera`.
        refused: names of the silhouettes of bones that are not trusted.
    """
    grey = _windowed(resize_image(radiograph.array, shape))
    colour = np.repeat(grey[..., None], 3, axis=2)
    for name, silhouette in silhouettes.items():
        outline = _outline(silhouette)
        if name in refused:
            rows, columns = np.indices(outline.shape) // DASH_PIXELS
            outline &= (rows + columns) % 2 == 0
        colour[outline] = REFUSED if name in refused else COLOURS[name]
    return Image.fromarray(colour)


def _windowed(image: Float[np.ndarray, "rows columns"]) -> UInt8[np.ndarray, "rows columns"]:
    low, high = np.percentile(image, (1.0, 99.5))
    return (255 * np.clip((image - low) / max(high - low, 1e-9), 0, 1)).astype(np.uint8)


def _outline(mask: Bool[np.ndarray, "rows columns"]) -> Bool[np.ndarray, "rows columns"]:
    """Pixels of the mask with a neighbour outside it."""
    inner = mask.copy()
    for axis in (0, 1):
        for shift in (1, -1):
            inner &= np.roll(mask, shift, axis=axis)
    return mask & ~inner
