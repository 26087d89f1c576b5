"""Certificates and keys as Go takes them: whether there is one in a PEM file.

Source: Go ``crypto/x509`` ``AppendCertsFromPEM`` (blocks that cannot be read are passed over) and
``crypto/tls`` ``X509KeyPair``.
"""

from __future__ import annotations

import re

_BLOCK = re.compile(
    r"-----BEGIN (?P<kind>[A-Z0-9 ]+)-----[ \t]*\r?\n(?P<body>.*?)-----END (?P=kind)-----",
    re.DOTALL,
)


def count_certificates(data: bytes) -> int:
    """Return how many certificates a PEM file holds that can be read."""
    import ssl

    readable = 0
    for block in _BLOCK.finditer(data.decode("ascii", errors="replace")):
        if block["kind"] != "CERTIFICATE" or ":" in block["body"]:
            continue  # Go passes over blocks with headers
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=block[0] + "\n")
        except (ssl.SSLError, ValueError):
            continue
        readable += 1
    return readable


def has_private_key(data: bytes) -> bool:
    """Tell whether a PEM file holds a private key."""
    blocks = _BLOCK.finditer(data.decode("ascii", errors="replace"))
    return any(re.fullmatch(r"(.* )?PRIVATE KEY", block["kind"]) for block in blocks)
