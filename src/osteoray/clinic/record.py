"""What the clinic is told about a patient, and what it is not told, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from osteoray.errors.codes import REASONS
from osteoray.errors.verdict import Verdict

SIDES = ("right", "left")
"""In the order of an AP image."""

_ORDER = (Verdict.REPORTED, Verdict.WARNING, Verdict.WITHHELD)


@dataclass(frozen=True)
class Remark:
    """A finding in plain words.

    Attributes:
        code: reason code.
        stage: where it was found.
        place: X-ray and side concerned; empty for the whole patient.
        detail: what was found, with numbers; may be empty.
    """

    code: str
    stage: str
    place: str
    detail: str

    @property
    def meaning(self) -> str:
        """One sentence a clinician understands."""
        return REASONS[self.code].meaning

    @property
    def fix(self) -> str:
        """What to do about it."""
        return REASONS[self.code].fix

    @property
    def verdict(self) -> Verdict:
        """What it does to the value it concerns."""
        cautions = self.code.startswith("REG-") and self.code != "REG-FIELD"
        return Verdict.WITHHELD if REASONS[self.code].withholds and not cautions else Verdict.WARNING


@dataclass(frozen=True)
class Estimate:
    """A value with its interval, in g/cm²."""

    value_g_cm2: float
    low_g_cm2: float
    high_g_cm2: float


@dataclass(frozen=True)
class Qct:
    """QCT aBMD of a hip. It never has a T-score, whatever calibrated it.

    Attributes:
        value_g_cm2: areal density.
        level: what calibrated it: phantom, asynchronous, internal or none.
    """

    value_g_cm2: float
    level: str


@dataclass(frozen=True)
class TScore:
    """An estimated T-score with its interval, the probability of T ≤ -2.5, and its reference."""

    value: float
    low: float
    high: float
    probability_osteoporosis: float
    reference: str


@dataclass(frozen=True)
class Measurement:
    """One hip on one X-ray; a withheld measurement has no estimate.

    Attributes:
        xray_id: the X-ray.
        side: side of the patient.
        pose: pose of the X-ray.
        estimate: aBMD on the scale of QCT.
        area_cm2: area of the bone, at the hip.
        dxa: DXA-equivalent BMD, where a calibration exists.
        t_score: from the DXA-equivalent value.
        remarks: findings that concern it.
    """

    xray_id: str
    side: str
    pose: str
    estimate: Estimate | None
    area_cm2: float | None
    dxa: Estimate | None
    t_score: TScore | None
    remarks: tuple[Remark, ...]

    def __post_init__(self) -> None:
        if self.verdict is Verdict.WITHHELD and (self.estimate or self.dxa or self.t_score or self.area_cm2):
            raise ValueError("estimate: expected none for a withheld measurement, got a number")
        if self.verdict is not Verdict.WITHHELD and self.estimate is None:
            raise ValueError("remarks: expected a withholding reason for a measurement without estimate, got none")

    @property
    def verdict(self) -> Verdict:
        """Reported, warning or withheld."""
        return max((remark.verdict for remark in self.remarks), key=_ORDER.index, default=Verdict.REPORTED)


@dataclass(frozen=True)
class Patient:
    """A patient's part of the hand-over.

    Attributes:
        patient_id: pseudonym.
        sex: F or M.
        age_years: age at the X-ray.
        measurements: every hip on every X-ray.
        qct: side to QCT, where the CT could be measured.
        remarks: findings on the patient, the CT or an X-ray as a whole.
    """

    patient_id: str
    sex: str
    age_years: float
    measurements: tuple[Measurement, ...]
    qct: dict[str, Qct]
    remarks: tuple[Remark, ...]

    def chosen(self, side: str) -> Measurement | None:
        """The hip's measurement that is handed over: the first with the fewest doubts, in table order."""
        candidates = [m for m in self.measurements if m.side == side]
        return min(candidates, key=lambda m: _ORDER.index(m.verdict), default=None)

    @property
    def verdict(self) -> Verdict:
        """Reported if both hips are, withheld if no hip has a value, and otherwise a warning."""
        verdicts = [m.verdict for side in SIDES if (m := self.chosen(side))]
        if all(verdict is Verdict.WITHHELD for verdict in verdicts):
            return Verdict.WITHHELD
        return Verdict.REPORTED if all(verdict is Verdict.REPORTED for verdict in verdicts) else Verdict.WARNING

    @property
    def reasons(self) -> tuple[Remark, ...]:
        """Remarks on the patient and on every measurement, each once."""
        return tuple(dict.fromkeys([*self.remarks, *(r for m in self.measurements for r in m.remarks)]))


@dataclass(frozen=True)
class Precision:
    """Precision of repeated X-rays in the cohort that the model was tested on."""

    patients: int
    rms_cv_percent: float
    lsc_percent: float
    is_preliminary: bool

    @property
    def sentence(self) -> str:
        """What it means for a change."""
        text = (
            f"Precision error over repeated X-rays {self.rms_cv_percent:.1f} % ({self.patients} patients). "
            f"Changes under {self.lsc_percent:.0f} % are within error: unsuitable for follow-up."
        )
        return text + (" Preliminary: too few repeats for a firm number." if self.is_preliminary else "")


@dataclass(frozen=True)
class Model:
    """What computed the values.

    Attributes:
        name: task, backbone and size.
        version: of the software.
        training_population: whom it has learned from.
        accuracy: one sentence on its agreement with QCT.
        precision: over repeated X-rays; None where there are no repeats.
        confidence_percent: coverage of the intervals.
    """

    name: str
    version: str
    training_population: str
    accuracy: str
    precision: Precision | None
    confidence_percent: float


def counts(patients: Sequence[Patient]) -> dict[str, int]:
    """Patients per state."""
    return {str(verdict): sum(p.verdict is verdict for p in patients) for verdict in _ORDER}
