"""Whether a GPU can be used is known before anything is asked of it."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from osteoray.radiography.search_renderer import gpu_problem

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="no Triton: it comes with torch on Linux only")


@pytest.fixture
def torch(monkeypatch):
    """Torch that has seen a GPU."""
    found = pytest.importorskip("torch")
    monkeypatch.setattr(found.cuda, "is_available", lambda: True)
    return found


@pytest.fixture
def launches(monkeypatch):
    """Sets what happens when a kernel is launched."""

    def become(try_launch):
        monkeypatch.setitem(
            sys.modules, "osteoray.radiography.shear_warp_launch", SimpleNamespace(try_launch=try_launch)
        )

    return become


def test_no_gpu_is_a_problem(monkeypatch, torch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_problem() == "no CUDA device"


def test_a_launch_that_fails_is_a_problem_told_in_one_line(torch, launches):
    def fail(device):
        raise OSError(f"no {device}:\n Python.h: No such file")

    launches(fail)
    problem = gpu_problem()
    assert problem == "a failed launch, OSError: no cuda: Python.h: No such file"


def test_the_launch_is_tried_on_the_gpu(torch, launches):
    devices = []
    launches(devices.append)
    assert gpu_problem() is None
    assert devices == ["cuda"]
