"""The manifest of a stage for one patient: verdict, findings, files with digests, and facts.

It is the one file that a rule declares; large files beside it are named in it. Because it holds their digests, a
rerun that reproduces the same bytes reruns nothing downstream. An unusable patient still gets a manifest, so the rest
of the cohort goes on.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from osteoray.errors.unreadable import Withheld
from osteoray.errors.verdict import Finding, Verdict, worst
from osteoray.store.atomic import writing

SCHEMA = 1


@dataclass
class Manifest:
    """What a stage says of one patient.

    Attributes:
        stage: the stage word.
        patient_id: as in patients.tsv.
        path: where the manifest lies or will lie.
        findings: reasons, for the patient, an X-ray or a side.
        facts: the stage's own results, JSON values only.
        files: name to path, relative to the manifest's folder.
        blocked_by: the earlier stage that withheld the patient, if one did.
    """

    stage: str
    patient_id: str
    path: Path
    findings: list[Finding] = field(default_factory=list)
    facts: dict = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    blocked_by: str | None = None

    @property
    def verdict(self) -> Verdict:
        """Withheld if blocked or if a finding withholds the whole patient; a lost X-ray or side is a warning."""
        if self.blocked_by or worst([f for f in self.findings if not (f.xray_id or f.side)]) is Verdict.WITHHELD:
            return Verdict.WITHHELD
        return Verdict.WARNING if self.findings else Verdict.REPORTED

    @property
    def is_withheld(self) -> bool:
        """Whether later stages have nothing to work on."""
        return self.verdict is Verdict.WITHHELD

    def withholds(self, xray_id: str | None = None, side: str | None = None) -> bool:
        """Whether a finding withholds this X-ray, this side, or this side on this X-ray."""
        return self.is_withheld or any(
            f.verdict is Verdict.WITHHELD and f.xray_id in (None, xray_id) and f.side in (None, side)
            for f in self.findings
        )

    def file(self, name: str) -> Path:
        """Path of a named file."""
        return self.path.parent / self.files[name]

    def add_file(self, name: str, path: str | Path) -> None:
        """Name a file that the stage has written, at or below the manifest's folder."""
        self.files[name] = str(Path(path).resolve().relative_to(self.path.parent.resolve()))

    def write(self) -> None:
        """Write the manifest, last of all the stage's files."""
        content = {
            "schema": SCHEMA,
            "stage": self.stage,
            "patient_id": self.patient_id,
            "verdict": self.verdict,
            "blocked_by": self.blocked_by,
            "findings": [asdict(finding) for finding in self.findings],
            "files": {
                name: {"path": path, "sha256": digest(self.path.parent / path)} for name, path in self.files.items()
            },
            "facts": self.facts,
        }
        write_json(self.path, content)


def read_manifest(path: str | Path) -> Manifest:
    """Read the manifest of a finished stage."""
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    return Manifest(
        stage=content["stage"],
        patient_id=content["patient_id"],
        path=Path(path),
        findings=[Finding(**finding) for finding in content["findings"]],
        facts=content["facts"],
        files={name: entry["path"] for name, entry in content["files"].items()},
        blocked_by=content["blocked_by"],
    )


@contextmanager
def recording(stage: str, patient_id: str, path: str | Path, *upstream: Manifest) -> Iterator[Manifest]:
    """Collect a stage's results and write its manifest at the end.

    `Withheld` raised inside becomes a finding and one line on standard error. If an upstream manifest is withheld the
    body should not run: check `manifest.blocked_by` first.
    """
    blocker = next((m for m in upstream if m.is_withheld), None)
    manifest = Manifest(stage, patient_id, Path(path))
    if blocker is not None:
        manifest.blocked_by = blocker.blocked_by or blocker.stage
    try:
        yield manifest
    except Withheld as error:
        manifest.findings.append(error.finding)
        manifest.files = {}
    for finding in manifest.findings:
        place = " ".join(filter(None, (patient_id, finding.xray_id, finding.side)))
        print(f"{place}: {stage}: {finding.code}: {finding.detail}", file=sys.stderr)
    manifest.write()


def write_json(path: str | Path, content: dict) -> None:
    """Write readable JSON; NaN is refused, because an absent number is null."""
    with writing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> dict:
    """Read a JSON object."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def digest(path: str | Path) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
