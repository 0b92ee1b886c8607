"""Reconstruction kernels of CT vendors: soft ones keep density, sharp ones overshoot the cortex."""

from __future__ import annotations

import re
from enum import IntEnum


class Sharpness(IntEnum):
    """How a kernel suits densitometry; smaller is better."""

    SOFT = 0
    UNKNOWN = 1
    SHARP = 2


_SOFT_NAMES = {"STANDARD", "SOFT", "STND", "A", "B", "SA", "SB", "IMR", "ROUTINE", "SMOOTH", "BODY STANDARD"}
_SHARP_NAMES = {"BONE", "BONEPLUS", "LUNG", "EDGE", "DETAIL", "CHST", "C", "D", "E", "L", "YA", "YB", "YC", "YD"}
_SIEMENS = re.compile(r"^[BHIJTU][A-Z]?(\d{2})")
_CANON = re.compile(r"^FC(\d{2})")
_SIEMENS_SHARP_FROM = 46
_CANON_SHARP_FROM = 30


def sharpness(kernel: str) -> Sharpness:
    """Class of a kernel by its name.

    GE and Philips use words and letters; Siemens writes the sharpness in tens of per cent (B30f, Br40), soft below
    46; Canon and Toshiba number their body kernels below FC30.
    """
    name = kernel.strip().upper()
    if name in _SOFT_NAMES:
        return Sharpness.SOFT
    if name in _SHARP_NAMES:
        return Sharpness.SHARP
    for pattern, sharp_from in ((_SIEMENS, _SIEMENS_SHARP_FROM), (_CANON, _CANON_SHARP_FROM)):
        if match := pattern.match(name):
            return Sharpness.SHARP if int(match.group(1)) >= sharp_from else Sharpness.SOFT
    return Sharpness.UNKNOWN
