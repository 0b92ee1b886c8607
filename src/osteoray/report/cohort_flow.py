"""Cohort flow: how many patients, X-rays and hips each stage kept, and why the others were left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from osteoray.report.style import INK, MUTED, new_figure, styled

STAGES = {
    "cohort": "Cohort tables",
    "ingest": "DICOM read",
    "calibration": "CT calibrated",
    "segmentation": "Bones segmented",
    "densitometry": "QCT aBMD measured",
    "registration": "X-rays registered",
    "projection": "Maps projected",
    "laterality": "Halves cut",
}
"""Stages in order, and what a patient has behind each."""


@dataclass(frozen=True)
class Step:
    """One stage of the flow.

    Attributes:
        title: what a patient has after the stage.
        remaining: patients after the stage.
        lost: reason code to the number of patients withheld here.
        partly: reason code to the number of X-rays or sides withheld here.
        warned: findings that withhold nothing.
    """

    title: str
    remaining: int
    lost: dict[str, int]
    partly: dict[str, int]
    warned: int


def cohort_flow(enrolled: int, exclusions: Sequence[Mapping[str, str]]) -> list[Step]:
    """Steps of the flow from the table of exclusions; a patient is lost once, at the first stage that withheld it."""
    steps, gone = [], set()
    for stage, title in STAGES.items():
        rows = [row for row in exclusions if row["stage"] == stage]
        withheld = [row for row in rows if row["verdict"] == "withheld"]
        lost = {row["patient_id"]: row["code"] for row in withheld if not (row["xray_id"] or row["side"])}
        lost = {patient_id: code for patient_id, code in lost.items() if patient_id not in gone}
        gone |= set(lost)
        partly = Counter(row["code"] for row in withheld if row["xray_id"] or row["side"])
        step = Step(title, enrolled - len(gone), _count(lost.values()), dict(partly), len(rows) - len(withheld))
        steps.append(step)
    return steps


@styled
def draw_cohort_flow(enrolled: int, steps: Sequence[Step]) -> Figure:
    """Boxes from enrolment down, with what was left out to the right."""
    figure, axes = new_figure(8.6, 0.62 * (len(steps) + 1) + 0.2)
    ax = axes[0, 0]
    ax.set(xlim=(0, 10), ylim=(-len(steps) - 0.5, 0.55))
    ax.axis("off")
    _box(ax, 0, "Enrolled", enrolled)
    for line, step in enumerate(steps, start=1):
        ax.annotate(
            "", (1.9, -line + 0.31), (1.9, -line + 0.69), arrowprops={"arrowstyle": "-|>", "color": MUTED, "lw": 0.8}
        )
        _box(ax, -line, step.title, step.remaining)
        texts = [f"{count} patient{'s' * (count > 1)}: {code}" for code, count in step.lost.items()]
        texts += [
            f"{count} X-ray{'s' * (count > 1)} or hip{'s' * (count > 1)}: {code}" for code, count in step.partly.items()
        ]
        if step.warned:
            texts.append(f"{step.warned} warning{'s' * (step.warned > 1)}")
        colour = INK if step.lost else MUTED
        ax.text(4.2, -line, "   ·   ".join(texts), va="center", fontsize=8.5, color=colour)
    return figure


def _count(codes: Iterable[str]) -> dict[str, int]:
    return dict(Counter(codes))


def _box(ax: Axes, y: float, title: str, count: int) -> None:
    shape = FancyBboxPatch(
        (0.1, y - 0.28), 3.7, 0.56, boxstyle="round,pad=0,rounding_size=0.1", fc="#f3f6f8", ec="#c3ccd4", lw=0.8
    )
    ax.add_patch(shape)
    ax.text(0.3, y, title, va="center", fontsize=9, color=INK)
    ax.text(3.6, y, str(count), va="center", ha="right", fontsize=10, fontweight="bold", color=INK)
