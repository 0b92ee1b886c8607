"""Which phantom lies under the patient: every table is looked for, and one must be seen clearly better."""

from __future__ import annotations

from collections.abc import Sequence

from osteoray.calibration.finding import BLOCK_MM, Block, Sight, sight
from osteoray.calibration.pattern import Plane
from osteoray.calibration.phantom import Phantom
from osteoray.errors.unreadable import Withheld

MIN_LEAD = 0.03
"""By how much the best likeness must exceed the next one's: two certificates of one model cannot be told apart."""


def recognise(blocks: list[Block], plane: Plane, phantoms: Sequence[Phantom], min_likeness: float) -> list[Sight]:
    """Look for every phantom.

    Args:
        blocks: of the CT.
        plane: of its slices.
        phantoms: tables to choose from, at least one.
        min_likeness: smallest correlation with the pattern.

    Returns:
        What was seen of each, the phantom that is there first.

    Raises:
        Withheld: CAL-PHANTOM, nothing in the CT looks like any phantom, or like two of them.
    """
    if not blocks:
        raise Withheld("CAL-PHANTOM", f"expected at least {BLOCK_MM:g} mm of CT without metal, got none")
    sights = sorted(
        (sight(blocks, plane, phantom) for phantom in phantoms), key=lambda seen: (not seen.is_physical, -seen.likeness)
    )
    best = sights[0]
    if best.likeness < min_likeness or not best.is_physical:
        told = ", ".join(f"{seen.phantom.name} {seen.likeness:.2f}" for seen in sights)
        seen = f"rods {best.contrast:.2f} times as bright as due, slab even to {best.unevenness_hu:.0f} HU"
        raise Withheld("CAL-PHANTOM", f"likeness: expected at least {min_likeness:g}, got {told}; {seen}")
    if len(sights) > 1 and sights[1].is_physical and best.likeness - sights[1].likeness < MIN_LEAD:
        names = " and ".join(f"{seen.phantom.name} {seen.likeness:.3f}" for seen in sights[:2])
        raise Withheld("CAL-PHANTOM", f"likeness of {names}: expected one to lead. Name it in calibration.phantom")
    return sights
