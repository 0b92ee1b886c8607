"""Gzip by several threads: blocks are compressed beside each other and joined into one ordinary stream."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

BLOCK_BYTES = 2**20
LEVEL = 1
"""Several times faster than the default; noise hardly compresses further."""
SAMPLE_BYTES = 2**14
NOISE = 1.1
"""Length without against length with the search for repetitions, up to which a block counts as noise."""
_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\4\xff"
"""No name, no time stamp: equal contents give equal bytes (RFC 1952)."""


def write_gzip(file: BinaryIO, parts: Iterable[memoryview], workers: int) -> None:
    """Write the parts, one after the other, as one gzip member that every reader knows.

    The bytes do not depend on the number of threads: blocks end at byte limits and know nothing of each other.

    Args:
        file: open for writing.
        parts: contiguous bytes.
        workers: threads.
    """
    blocks = [part[start : start + BLOCK_BYTES] for part in parts for start in range(0, len(part), BLOCK_BYTES)]
    checksum = 0
    file.write(_HEADER)
    with ThreadPoolExecutor(workers) as pool:
        for block, compressed in zip(blocks, pool.map(_deflated, blocks), strict=True):
            checksum = zlib.crc32(block, checksum)
            file.write(compressed)
    # An empty last block ends the stream.
    file.write(b"\3\0" + struct.pack("<LL", checksum, sum(map(len, blocks)) % 2**32))


def _deflated(block: memoryview) -> bytes:
    """A block, without the search for repetitions (twice as fast) where its beginning shows that they gain little."""
    sample = block[:SAMPLE_BYTES]
    is_noise = len(_compressed(sample, zlib.Z_HUFFMAN_ONLY)) < NOISE * len(_compressed(sample, zlib.Z_DEFAULT_STRATEGY))
    return _compressed(block, zlib.Z_HUFFMAN_ONLY if is_noise else zlib.Z_DEFAULT_STRATEGY)


def _compressed(block: memoryview, strategy: int) -> bytes:
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, strategy)
    return compressor.compress(block) + compressor.flush(zlib.Z_SYNC_FLUSH)
