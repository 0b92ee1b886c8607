"""Miniature runs of the whole workflow in a copy of the repository."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml
from tests.paths import ROOT

PARTS = ("Snakefile", "workflow", "scripts", "src", "config", "envs", "profiles", "resources")

CONFIG = {
    "results": "results",
    "cohort": {
        "virtual": {
            "patients": 4,
            "labelled": 2,
            "xrays_per_patient": 1,
            "anatomy_spacing_mm": 2.5,
            "ct": {"matrix": 224, "pixel_mm": 2.0, "slice_mm": 3.0},
            "xray": {"rows": 240, "columns": 300, "pitch_mm": 1.5},
        }
    },
    "calibration": {"water": ["water/CT01"]},
    "segmentation": {"coarse_steps": 120, "fine_steps": 80, "batch": 2, "samples": 2},
    "folds": {"release": {"name": "r1", "patients": 3}},
    "pretraining": {"epochs": {"mp": 1, "bd": 1}},
    "synthesis": {"epochs": 2},
}


@dataclass(frozen=True)
class Repository:
    """A copy of what a user clones, in which a test may edit."""

    folder: Path

    @classmethod
    def copied_to(cls, folder: Path) -> Repository:
        folder.mkdir(parents=True)
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / part)
        # Compiled kernels go beside the sources; those of the repository spare their compilation.
        for cached in (ROOT / "src").rglob("*.nb[ic]"):
            target = folder / cached.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(cached, target)
        for source in (ROOT / "src").rglob("*.py"):
            shutil.copystat(source, folder / source.relative_to(ROOT))
        return cls(folder)

    def configure(self, name: str, content: dict) -> Path:
        path = self.folder / name
        path.write_text(yaml.safe_dump(content))
        return path

    def snakemake(self, *arguments: str, configfile: Path, check: bool = True) -> str:
        command = [str(Path(sys.executable).parent / "snakemake"), *arguments, "--cores", "2"]
        command += ["--configfile", str(configfile), "--replace-workflow-config"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        output = done.stdout + done.stderr
        if check and done.returncode:
            raise AssertionError(f"snakemake ended with {done.returncode}:\n{output[-6000:]}")
        return output

    def planned(self, configfile: Path) -> dict[str, int]:
        """Jobs per rule of a dry run."""
        output = self.snakemake("-n", configfile=configfile)
        if "Nothing to be done" in output:
            return {}
        table = output.split("Job stats:", 1)[1].split("\ntotal", 1)[0]
        return {name: int(count) for name, count in re.findall(r"^(\w+)\s+(\d+)$", table, re.MULTILINE)}

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace text once; the test is wrong if it is not there."""
        file = self.folder / path
        text = file.read_text()
        assert old in text, f"{path} does not contain {old!r}"
        file.write_text(text.replace(old, new, 1))
