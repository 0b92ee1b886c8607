"""C files: compiled once, told apart by content, and never a reason to fail."""

from __future__ import annotations

import ctypes
import shutil

import pytest

from osteoray.radiography import native, shear_warp, shear_warp_kernels, shear_warp_native
from osteoray.radiography.native import OFF, compiled


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(OFF, raising=False)
    return tmp_path / "cache" / "osteoray"


def source(tmp_path, value=7):
    path = tmp_path / "answer.c"
    path.write_text(f"int answer(void) {{ return {value}; }}\n")
    return path


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
def test_a_source_is_compiled_once_and_again_when_it_changes(tmp_path, cache):
    assert compiled(source(tmp_path)).answer() == 7
    (first,) = cache.iterdir()
    made = first.stat().st_mtime_ns
    assert compiled(source(tmp_path)).answer() == 7
    assert first.stat().st_mtime_ns == made
    assert compiled(source(tmp_path, 8)).answer() == 8
    assert len(list(cache.iterdir())) == 2


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
def test_a_source_that_does_not_compile_gives_nothing(tmp_path, cache):
    broken = tmp_path / "broken.c"
    broken.write_text("int answer(void) { return }")
    assert compiled(broken) is None
    assert list(cache.iterdir()) == []


def test_no_compiler_or_no_place_gives_nothing(tmp_path, cache, monkeypatch):
    cache.parent.write_text("a file where the cache should be")
    assert compiled(source(tmp_path)) is None
    monkeypatch.setattr(native, "COMPILERS", ("no-such-compiler",))
    assert compiled(source(tmp_path)) is None


def test_compiled_code_can_be_forbidden(tmp_path, cache, monkeypatch):
    monkeypatch.setenv(OFF, "1")
    assert compiled(source(tmp_path)) is None
    assert not cache.exists()


def test_the_renderer_takes_what_there_is(monkeypatch):
    monkeypatch.setattr(shear_warp_native, "library", lambda: None)
    assert shear_warp._kernels() is shear_warp_kernels
    monkeypatch.setattr(shear_warp_native, "library", lambda: ctypes.CDLL(None))
    assert shear_warp._kernels() is shear_warp_native
