"""Gzip by threads gives one ordinary stream, the same for any number of threads."""

from __future__ import annotations

import gzip
import subprocess
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from osteoray.store.gzipping import BLOCK_BYTES, write_gzip


def contents() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    return {
        "nothing": b"",
        "short": b"abc",
        "one block": bytes(BLOCK_BYTES),
        "noise": rng.normal(0, 20, BLOCK_BYTES).astype(np.int16).tobytes() + b"rest",
        "labels": np.repeat(rng.integers(0, 5, 3000), 1000).astype(np.uint8).tobytes(),
    }


def written(content: bytes, workers: int) -> bytes:
    file = BytesIO()
    write_gzip(file, [memoryview(content[:7]), memoryview(content[7:])], workers)
    return file.getvalue()


@pytest.mark.parametrize("name", contents())
def test_every_reader_gets_the_content_back(name: str) -> None:
    content = contents()[name]
    stream = written(content, 2)
    assert gzip.decompress(stream) == content
    # One member: a reader that stops after the first sees everything.
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
    assert reader.decompress(stream) == content
    assert reader.eof and not reader.unused_data


def test_the_bytes_do_not_depend_on_the_threads() -> None:
    content = contents()["noise"]
    assert written(content, 1) == written(content, 3)


def test_repetitions_are_compressed_as_well_as_gzip_does() -> None:
    content = contents()["labels"]
    assert len(written(content, 1)) < 1.1 * len(gzip.compress(content, 1))


def test_the_gzip_program_accepts_it(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(written(contents()["noise"], 2))
    assert subprocess.run(["gzip", "-t", tmp_path / "a.gz"], check=False).returncode == 0
