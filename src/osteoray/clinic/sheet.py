"""An A4 page that is drawn in millimetres from its upper left corner."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import FigureCanvasPdf, PdfPages
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

WIDTH_MM, HEIGHT_MM, MARGIN_MM = 210.0, 297.0, 16.0
INK, MUTED, RULE, ACCENT, WASH = "#1f2933", "#5c6975", "#cfd7de", "#0a5c91", "#f5f7f9"

_RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "font.size": 8,
    "pdf.fonttype": 42,  # text stays text: searchable and readable by screen readers
    "pdf.compression": 6,
}
_LINE_MM_PER_POINT = 0.3528 * 1.42
_CHARACTERS_PER_MM_AT_1PT = 5.15


class Sheet:
    """One page."""

    def __init__(self) -> None:
        with mpl.rc_context(_RC):
            self.figure = Figure(figsize=(WIDTH_MM / 25.4, HEIGHT_MM / 25.4))
            FigureCanvasPdf(self.figure)

    def axes(self, x_mm: float, y_mm: float, width_mm: float, height_mm: float) -> Axes:
        """Axes in a box given by its upper left corner."""
        box = (x_mm / WIDTH_MM, 1 - (y_mm + height_mm) / HEIGHT_MM, width_mm / WIDTH_MM, height_mm / HEIGHT_MM)
        with mpl.rc_context(_RC):
            return self.figure.add_axes(box)

    def text(self, x_mm: float, y_mm: float, text: str, size: float = 8.5, **style: Any) -> None:
        """One line whose baseline lies at y."""
        with mpl.rc_context(_RC):
            self.figure.text(x_mm / WIDTH_MM, 1 - y_mm / HEIGHT_MM, text, fontsize=size, **style)

    def paragraph(
        self, x_mm: float, y_mm: float, width_mm: float, text: str, size: float = 8.5, most: int = 99, **style: Any
    ) -> float:
        """At most so many lines, broken to a width; returns the baseline below the last one."""
        columns = int(width_mm * _CHARACTERS_PER_MM_AT_1PT / size)
        for line in textwrap.wrap(text, columns, max_lines=most, placeholder=" …"):
            self.text(x_mm, y_mm, line, size, **style)
            y_mm += size * _LINE_MM_PER_POINT
        return y_mm

    def box(
        self, x_mm: float, y_mm: float, width_mm: float, height_mm: float, fill: str = WASH, edge: str = "none"
    ) -> None:
        """A box with round corners behind everything else."""
        shape = FancyBboxPatch(
            (x_mm / WIDTH_MM, 1 - (y_mm + height_mm) / HEIGHT_MM),
            width_mm / WIDTH_MM,
            height_mm / HEIGHT_MM,
            boxstyle="round,pad=0,rounding_size=0.006",
            mutation_aspect=WIDTH_MM / HEIGHT_MM,
            fc=fill,
            ec=edge,
            lw=0.8,
            transform=self.figure.transFigure,
            zorder=-1,
        )
        self.figure.add_artist(shape)

    def rule(
        self, y_mm: float, x_mm: float = MARGIN_MM, width_mm: float = WIDTH_MM - 2 * MARGIN_MM, colour: str = RULE
    ) -> None:
        """A thin horizontal line."""
        line = Rectangle(
            (x_mm / WIDTH_MM, 1 - y_mm / HEIGHT_MM), width_mm / WIDTH_MM, 0.0004, fc=colour, ec="none",
            transform=self.figure.transFigure,
        )  # fmt: skip
        self.figure.add_artist(line)

    def heading(self, x_mm: float, y_mm: float, text: str) -> None:
        """The title of a block."""
        self.text(x_mm, y_mm, text, 10, fontweight="bold", color=ACCENT)


def pdf_bytes(sheets: Sequence[Sheet], title: str) -> bytes:
    """The pages as one PDF; without dates, so the same pages give the same bytes."""
    buffer = BytesIO()
    metadata = {"Title": title, "Creator": "osteoray", "Producer": None, "CreationDate": None}
    with mpl.rc_context(_RC), PdfPages(buffer, metadata=metadata) as pdf:
        for sheet in sheets:
            pdf.savefig(sheet.figure)
    return buffer.getvalue()
