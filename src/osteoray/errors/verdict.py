"""A verdict has three states, and a finding says why with a reason code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from osteoray.errors.codes import REASONS


class Verdict(StrEnum):
    """State of a result: a withheld result carries no number."""

    REPORTED = "reported"
    WARNING = "warning"
    WITHHELD = "withheld"


@dataclass(frozen=True)
class Finding:
    """One reason, for a patient or for one of its X-rays or sides.

    Attributes:
        code: key of `osteoray.errors.codes.REASONS`.
        detail: what was found, in one line, with numbers and units.
        xray_id: the X-ray concerned; None if the whole patient is.
        side: "left" or "right"; None if both are concerned.
    """

    code: str
    detail: str
    xray_id: str | None = None
    side: str | None = None

    def __post_init__(self) -> None:
        if self.code not in REASONS:
            raise ValueError(f"code: expected one of {sorted(REASONS)}, got {self.code!r}")

    @property
    def verdict(self) -> Verdict:
        """The verdict that this finding alone imposes on what it concerns."""
        return Verdict.WITHHELD if REASONS[self.code].withholds else Verdict.WARNING


def worst(findings: list[Finding]) -> Verdict:
    """Verdict of a result that carries these findings; no finding means reported."""
    verdicts = {finding.verdict for finding in findings}
    for verdict in (Verdict.WITHHELD, Verdict.WARNING):
        if verdict in verdicts:
            return verdict
    return Verdict.REPORTED
