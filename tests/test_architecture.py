"""The law of the house: stages never import stages; they meet on disk."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

SCRIPTS = sorted(p for p in (ROOT / "scripts").glob("*.py"))


def test_import_contracts_hold():
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_every_script_is_called_by_a_rule_or_is_documented(script):
    rules = "\n".join(p.read_text() for p in (ROOT / "workflow" / "rules").glob("*.smk"))
    documents = "\n".join(p.read_text() for p in [ROOT / "config" / "README.md", *(ROOT / "docs").glob("*.md")])
    assert f"/{script.name}" in rules or script.name in documents


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_every_script_explains_its_arguments(script):
    environment = {"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, script, "--help"], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout


def test_every_rule_says_what_it_does_and_where_it_logs():
    for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")):
        for rule in path.read_text().split("rule ")[1:]:
            if "shell:" in rule:
                for directive in ("message:", "output:", "log:", "benchmark:", "threads:", "resources:", "conda:"):
                    assert directive in rule, f"{path.name}: {rule.splitlines()[0]} {directive}"
