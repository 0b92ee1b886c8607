"""How the signal of a detector becomes the pixel values of a file: log, linear, or the vendor's picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt16

from osteoray.simulation.exposure_control import REFERENCE_SIGNAL_KEV_MM2
from osteoray.simulation.tone import LOOKS, picture

STORED_PER_LOG = 1000
STORED_AT_REFERENCE = 8000
LINEAR_AT_REFERENCE = 512
"""Linear value at the reference signal: 65 535 is 128 times as much, about the open beam beside a thick patient."""
BITS = {"log": 14, "linear": 16, "presentation": 12}
RELATION = {"log": "LOG", "linear": "LIN", "presentation": "DISP"}


@dataclass(frozen=True)
class PixelFormat:
    """What is stored, as the configuration of the X-ray system says.

    Attributes:
        modality: "DX" or "CR".
        storage: "log", "linear" or "presentation".
        vendor: key of `LOOKS`, for presentation.
        photometric: "MONOCHROME1" or "MONOCHROME2".
    """

    modality: str = "DX"
    storage: str = "log"
    vendor: str = "a"
    photometric: str = "MONOCHROME2"

    @property
    def bits(self) -> int:
        """Bits stored."""
        return BITS[self.storage]

    @property
    def sign(self) -> int:
        """Pixel Intensity Relationship Sign: 1 if values rise with exposure.

        Linear values always do; of the others bones are bright on the screen, whatever the photometric interpretation.
        """
        if self.storage == "linear":
            return 1
        return -1 if self.photometric == "MONOCHROME2" else 1


def store(
    signal_kev_mm2: Float32[np.ndarray, "rows columns"], field: Bool[np.ndarray, "rows columns"], form: PixelFormat
) -> UInt16[np.ndarray, "rows columns"]:
    """Pixel values of a file.

    Args:
        signal_kev_mm2: what the detector read.
        field: pixels inside the collimator.
        form: how they are stored.
    """
    if form.storage == "linear":
        values = np.rint(LINEAR_AT_REFERENCE / REFERENCE_SIGNAL_KEV_MM2 * signal_kev_mm2)
        return np.clip(values, 0, 2**form.bits - 1).astype(np.uint16)
    log_attenuation = -np.log(np.maximum(signal_kev_mm2, 1.0) / np.float32(REFERENCE_SIGNAL_KEV_MM2))
    if form.storage == "log":
        return stored_values(log_attenuation, -form.sign)
    full = 2**form.bits - 1
    values = np.rint(full * picture(log_attenuation, field, LOOKS[form.vendor])).astype(np.uint16)
    return values if form.sign == -1 else (full - values).astype(np.uint16)


def stored_values(
    log_attenuation: Float[np.ndarray, "rows columns"], rise: int = 1
) -> UInt16[np.ndarray, "rows columns"]:
    """Log values of a file: 8000 at the reference signal, 1000 up (or down, `rise` -1) per neper of attenuation."""
    values = np.rint(rise * STORED_PER_LOG * log_attenuation + STORED_AT_REFERENCE)
    return np.clip(values, 0, 2 ** BITS["log"] - 1).astype(np.uint16)


def inverted(stored: UInt16[np.ndarray, "rows columns"], form: PixelFormat) -> UInt16[np.ndarray, "rows columns"]:
    """The picture with black and white exchanged, as if the other photometric interpretation had been stored."""
    if form.storage == "log":
        return np.clip(2 * STORED_AT_REFERENCE - stored.astype(np.int32), 0, 2**form.bits - 1).astype(np.uint16)
    return (2**form.bits - 1 - stored).astype(np.uint16)
