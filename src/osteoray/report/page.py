"""The report as one HTML file that needs nothing else: no network, no second file."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jinja2 import Environment, PackageLoader, StrictUndefined


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        png: the image.
        caption: what it shows and how to read it.
    """

    png: bytes
    caption: str

    @property
    def source(self) -> str:
        """The image as a data address."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        head: column titles.
        rows: as many texts per row.
        caption: what it holds.
        numeric: columns to be set right, by index.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    numeric: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Part:
    """A section of the report; an empty one is left out of the page and of its table of contents.

    Attributes:
        anchor: identifier inside the page.
        title: heading.
        lead: one or two sentences.
        items: pictures and tables in order.
    """

    anchor: str
    title: str
    lead: str
    items: list[Picture | Table] = field(default_factory=list)


def render(
    title: str,
    subtitle: str,
    highlights: Sequence[tuple[str, str, str]],
    parts: Sequence[Part],
    facts: Mapping[str, str],
) -> str:
    """Render the page.

    Args:
        title: of the report.
        subtitle: one sentence on the cohort.
        highlights: number, its name and its explanation, shown at the top.
        parts: sections in order.
        facts: printed at the end, such as the software version.
    """
    environment = Environment(
        loader=PackageLoader("osteoray.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        title=title, subtitle=subtitle, highlights=highlights, parts=[part for part in parts if part.items], facts=facts
    )
