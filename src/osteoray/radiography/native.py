"""C sources of the package, compiled on the user's machine when first used and kept in the user's cache."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

OFF = "OSTEORAY_NO_COMPILER"
"""Environment variable that forbids compiled C: every caller has a twin in numba."""
# Fast mathematics by its parts: GCC before 13 lets the whole flag change how the process rounds tiny numbers.
FLAGS = ["-O3", "-march=native", "-std=c11", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros"]
FLAGS += ["-fassociative-math", "-freciprocal-math", "-ffinite-math-only"]
COMPILERS = ("cc", "gcc", "clang")
LONGEST_S = 60


def compiled(source: Path) -> ctypes.CDLL | None:
    """The library made from a C file; None where that is impossible or forbidden.

    The cache is the folder osteoray of $XDG_CACHE_HOME or ~/.cache. A library's name holds a digest of the source and
    of everything that the compiler says about itself and the processor, so nodes of a cluster may share the folder.

    Args:
        source: a C file without dependencies other than the standard library.
    """
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if os.environ.get(OFF) or compiler is None:
        return None
    try:
        # Predefined macros name the compiler's version and each instruction set of this processor.
        macros = _run([compiler, *FLAGS, "-E", "-dM", "-x", "c", os.devnull])
        digest = hashlib.sha256(b"\0".join([source.read_bytes(), " ".join(FLAGS).encode(), macros])).hexdigest()[:16]
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "osteoray"
        library = cache / f"{source.stem}-{digest}.so"
        if not library.is_file():
            cache.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryDirectory(dir=cache) as folder:
                built = Path(folder) / library.name
                _run([compiler, *FLAGS, "-shared", str(source), "-o", str(built), "-lm"])
                built.replace(library)  # Atomic: jobs that start together do not see half a library.
        return ctypes.CDLL(str(library))
    except (OSError, RuntimeError, subprocess.SubprocessError):
        return None


def _run(command: list[str]) -> bytes:
    return subprocess.run(command, check=True, capture_output=True, timeout=LONGEST_S).stdout
