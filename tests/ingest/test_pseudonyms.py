"""Pseudonyms are stable under one key, unrelated under another, and the key stays private."""

from __future__ import annotations

import re
import stat

import pytest

from osteoray.ingest.pseudonyms import pseudonym, pseudonyms, read_key


def test_one_key_gives_one_name_and_another_key_another(tmp_path):
    ours, theirs = read_key(tmp_path / "a.key"), read_key(tmp_path / "b.key")
    assert pseudonym("4711", ours) == pseudonym("4711", read_key(tmp_path / "a.key")) != pseudonym("4711", theirs)
    assert re.fullmatch(r"P[A-Z2-7]{10}", pseudonym("Müller^4711", ours))


def test_identifiers_keep_apart(tmp_path):
    identifiers = [str(n) for n in range(5000)]
    assert len(set(pseudonyms(identifiers, read_key(tmp_path / "key")).values())) == 5000


def test_only_the_owner_can_read_the_key(tmp_path):
    read_key(tmp_path / "new" / "key")
    assert stat.S_IMODE((tmp_path / "new" / "key").stat().st_mode) == 0o600


def test_a_spoilt_key_is_refused_rather_than_replaced(tmp_path):
    path = tmp_path / "key"
    path.write_text("not a key")
    with pytest.raises(ValueError, match="expected 64 hexadecimal digits"):
        read_key(path)
    assert path.read_text() == "not a key"
