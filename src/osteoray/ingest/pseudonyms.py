"""Pseudonyms of patients: the same identifier and key give the same name at any time, and the name tells nothing.

A keyed digest (HMAC-SHA-256) instead of a plain one, because identifiers are short enough to be tried one by one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from pathlib import Path

KEY_BYTES = 32
LENGTH = 10
"""Characters of 5 bits: among 10,000 patients two share a name once in twenty million keys."""


def read_key(path: Path) -> bytes:
    """The key of a hospital, made at first use and readable by its owner only.

    Args:
        path: file of the key; whoever has it can tell who a patient is.

    Raises:
        ValueError: the file holds no key.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(
            f"{path.name}: expected {2 * KEY_BYTES} hexadecimal digits, got something else. Restore the key."
        )
    return key


def pseudonym(identifier: str, key: bytes) -> str:
    """A name such as PQ3T5WMZ7KA for a patient's identifier."""
    digest = hmac.new(key, identifier.encode("utf-8"), hashlib.sha256).digest()
    return "P" + base64.b32encode(digest).decode("ascii")[:LENGTH]


def pseudonyms(identifiers: list[str], key: bytes) -> dict[str, str]:
    """The pseudonym of every identifier.

    Raises:
        ValueError: two identifiers share a pseudonym.
    """
    names = {identifier: pseudonym(identifier, key) for identifier in identifiers}
    if len(set(names.values())) < len(names):
        raise ValueError("identifiers: two share a pseudonym under this key; use another key")
    return names
