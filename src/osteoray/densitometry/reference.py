"""Young adult reference BMD and the T-score, which exist on the scale of DXA only."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.special import ndtr

OSTEOPOROSIS_T = -2.5
"""T-score at and below which the WHO speaks of osteoporosis."""


@dataclass(frozen=True)
class ReferenceBmd:
    """Mean and standard deviation of a young adult population at one site.

    Attributes:
        name: population, age and site.
        site: for example "total hip".
        scale: the measurement that the numbers belong to.
        mean_g_cm2: mean areal density.
        sd_g_cm2: standard deviation.
        source: where the numbers come from.
        status: "original" if read in the source itself, "quoted" if taken from others who cite it.
    """

    name: str
    site: str
    scale: str
    mean_g_cm2: float
    sd_g_cm2: float
    source: str
    status: str

    def t_score(self, dxa_g_cm2: float) -> float:
        """Distance to the young adult mean in standard deviations."""
        return (dxa_g_cm2 - self.mean_g_cm2) / self.sd_g_cm2

    def bmd_at(self, t_score: float) -> float:
        """The areal density of a T-score, in g/cm²."""
        return self.mean_g_cm2 + t_score * self.sd_g_cm2

    def probability_below(self, t_score: float, dxa_g_cm2: float, error_sd_g_cm2: float) -> float:
        """Probability that the true T-score is at or below this one, for a normal error of the estimate."""
        return float(ndtr((self.bmd_at(t_score) - dxa_g_cm2) / error_sd_g_cm2))
