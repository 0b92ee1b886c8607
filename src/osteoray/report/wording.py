"""Findings in words a clinician reads."""

from __future__ import annotations

from collections.abc import Sequence

from osteoray.errors.codes import REASONS
from osteoray.errors.verdict import Finding


def in_words(findings: Sequence[Finding]) -> str:
    """What each code means, of which side, every sentence once."""
    texts = [
        f"{finding.side.capitalize() + ': ' if finding.side else ''}{REASONS[finding.code].meaning} ({finding.code})"
        for finding in findings
    ]
    return "   ".join(dict.fromkeys(texts)) or "No findings."
