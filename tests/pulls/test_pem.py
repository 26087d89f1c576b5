"""Certificates are counted as Go counts them: blocks that cannot be read are passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from k0sruntime.pulls import pem

GOOD = (Path(__file__).parents[1] / "cases/hosts/ca-list/certs.d/docker.io/a.crt").read_bytes()
BAD = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = b"-----BEGIN EC PRIVATE KEY-----\nMIIB\n-----END EC PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("data", "readable"),
    [
        (b"", 0),
        (b"no PEM", 0),
        (BAD, 0),
        (GOOD, 1),
        (BAD + GOOD, 1),
        (GOOD + b"between\n" + GOOD, 2),
        (KEY, 0),
        (GOOD.replace(b"\n", b"\r\n"), 1),
        (b"\xff\xfe" + GOOD, 1),
    ],
)
def test_how_many_certificates_can_be_read(data: bytes, readable: int) -> None:
    assert pem.count_certificates(data) == readable


def test_a_key_of_any_kind_is_a_key() -> None:
    assert pem.has_private_key(KEY)
    assert pem.has_private_key(GOOD + KEY.replace(b"EC ", b""))
    assert not pem.has_private_key(GOOD)
