"""One set of pins: the lock files, the conda environments and the documented dependencies agree."""

import ast
import re
import sys

import pytest
import yaml
from scripts.dev.make_envs import ENVIRONMENTS, environment, pins

from osteoray.config.code_digest import _imports
from tests.paths import ROOT

LOCKS = ("imaging", "learning", "osteoray", "dev")


def lock(name):
    return (ROOT / "requirements" / f"{name}.lock").read_text()


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_conda_environment_is_generated_from_the_lock(name):
    assert (ROOT / "envs" / f"{name}.yaml").read_text() == environment(name)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_conda_environment_is_python_pip_and_every_pin(name):
    content = yaml.safe_load((ROOT / "envs" / f"{name}.yaml").read_text())
    assert content["channels"] == ["conda-forge"]
    python, pip, pinned = content["dependencies"]
    assert (python, pip) == ("python =3.11", "pip")
    assert pinned["pip"] == pins(lock(name))


def test_locks_agree_on_every_version():
    everything = set(pins(lock("dev")))
    for name in LOCKS:
        assert set(pins(lock(name))) <= everything


@pytest.mark.parametrize("name", [*LOCKS, "totalsegmentator"])
def test_every_pin_has_a_hash_and_no_index_address(name):
    blocks = re.split(r"\n(?=\S)", lock(name).strip())
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in lock(name)


@pytest.mark.parametrize("pin", ["torch==2.11.0", "torchvision==0.26.0", "timm==1.0.31", "snakemake==9.27.1"])
def test_the_pins_that_matter(pin):
    assert pin in pins(lock("osteoray"))


def test_nothing_gpl_or_unused_at_run_time():
    names = {pin.split("==")[0].lower() for pin in [*pins(lock("osteoray")), *pins(lock("totalsegmentator"))]}
    assert not names & {"pingouin", "pylibjpeg-libjpeg", "xpecgen", "spekpy"}


def test_totalsegmentator_lives_apart_on_the_same_torch():
    assert not {"totalsegmentator", "nnunetv2"} & {pin.split("==")[0] for pin in pins(lock("dev"))}
    apart = pins(lock("totalsegmentator"))
    assert {"torch==2.11.0", "torchvision==0.26.0"} <= set(apart)
    assert any(pin.startswith("totalsegmentator==2.") for pin in apart)


@pytest.mark.parametrize("script", ["fetch_totalsegmentator", "run_totalsegmentator"])
def test_what_calls_totalsegmentator_needs_only_what_its_environment_lists(script):
    listed = {line.lower() for line in (ROOT / "requirements/totalsegmentator.in").read_text().splitlines()}
    assert imported(ROOT / "scripts" / f"{script}.py") - set(sys.stdlib_module_names) <= listed


def imported(script):
    """Packages other than ours that a script imports, directly or not."""
    pending, seen, packages = [script], set(), set()
    while pending:
        path = pending.pop()
        seen.add(path)
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            packages |= {name.split(".")[0] for name in names}
        pending += [p for p in _imports(path, ROOT / "src", 0) if p not in seen]
    return packages - {"osteoray"}


def test_every_direct_dependency_has_its_reason():
    documented = (ROOT / "docs" / "dependencies.md").read_text().lower()
    for name in (*LOCKS, "totalsegmentator"):
        for line in (ROOT / "requirements" / f"{name}.in").read_text().splitlines():
            requirement = re.match(r"[A-Za-z0-9-]+", line)
            if requirement and not line.startswith("-") and not line.startswith(("pandas-stubs", "types-")):
                assert requirement[0].lower() in documented, requirement[0]
