"""Stored X-ray values become log attenuation in nepers, in a scale that is fixed per acquisition class.

Nothing is ever fitted to an image: normalising each image would remove the exposure, and with it density.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Real
from pydicom import Dataset

from osteoray.errors.unreadable import UnreadableInput
from osteoray.ingest.dicom import optional_number, text

LOG, LINEAR, DISPLAY = "log", "linear", "display"


@dataclass(frozen=True)
class ValueScale:
    """What the values of an image mean.

    Attributes:
        relation: log, linear or display.
        is_presentation: whether the vendor's display processing was applied.
        rises_with_attenuation: whether larger values mean more attenuation.
        full: largest value that the stored bits can hold, after the modality LUT.
        offset: value of zero attenuation (log).
        units_per_neper: values per neper (log).
        display_nepers: attenuation of the full range (display).
    """

    relation: str
    is_presentation: bool
    rises_with_attenuation: bool
    full: float
    offset: float
    units_per_neper: float
    display_nepers: float

    @property
    def is_display(self) -> bool:
        """Whether values have no known relation to exposure."""
        return self.relation == DISPLAY or self.is_presentation


def value_scale(
    dataset: Dataset, name: str, *, offset: float, units_per_neper: float, display_nepers: float
) -> ValueScale:
    """Read what the values mean.

    Pixel Intensity Relationship says log, linear or display (absent: display, as in CR). Its sign says whether values
    rise or fall with exposure; without it, or for display images, the photometric interpretation does: bright is more
    attenuation, and bright is a large value unless MONOCHROME1.

    Raises:
        UnreadableInput: the photometric interpretation is not grey.
    """
    photometric = text(dataset, "PhotometricInterpretation")
    if photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise UnreadableInput(
            name,
            "PhotometricInterpretation (0028,0004)",
            "MONOCHROME1 or MONOCHROME2",
            photometric or "nothing",
            "ING-XRAY",
        )
    relation = {"LOG": LOG, "LIN": LINEAR}.get(text(dataset, "PixelIntensityRelationship"), DISPLAY)
    sign = optional_number(dataset, "PixelIntensityRelationshipSign")
    is_bright_large = photometric == "MONOCHROME2"
    rises = is_bright_large if relation == DISPLAY or sign not in (1, -1) else sign == -1
    bits = optional_number(dataset, "BitsStored") or 16
    return ValueScale(
        relation=relation,
        is_presentation=text(dataset, "PresentationIntentType") == "FOR PRESENTATION",
        rises_with_attenuation=rises,
        full=float(2**bits - 1),
        offset=offset,
        units_per_neper=units_per_neper,
        display_nepers=display_nepers,
    )


def log_attenuation(values: Real[np.ndarray, "rows columns"], scale: ValueScale) -> Float[np.ndarray, "rows columns"]:
    """Attenuation in nepers, larger = more attenuating.

    log: `±(value - offset) / units_per_neper`. linear: `-ln(exposure / full)`, at least half a unit of exposure.
    display: the full range of values spans `display_nepers`.

    Args:
        values: after the modality LUT.
        scale: their meaning.
    """
    values = np.asarray(values, np.float32)
    if scale.relation == LOG:
        nepers = (values - scale.offset) / scale.units_per_neper
        return (nepers if scale.rises_with_attenuation else -nepers).astype(np.float32)
    if scale.relation == LINEAR:
        exposure = scale.full - values if scale.rises_with_attenuation else values
        return -np.log(np.maximum(exposure, 0.5) / scale.full).astype(np.float32)
    bright = values if scale.rises_with_attenuation else scale.full - values
    return (bright / scale.full * scale.display_nepers).astype(np.float32)
