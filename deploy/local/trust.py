"""A Java trust store of the host's own CA certificates, so that the bundled JRE trusts whom the
host trusts.
"""

from __future__ import annotations

import hashlib
import ssl
import struct
from pathlib import Path

PASSWORD = "changeit"  # noqa: S105  (the store holds public certificates; the format wants a word)


def write_trust_store(path: Path) -> bool:
    """Write a JKS file of all CA certificates that Python trusts here; False when it knows none."""
    context = ssl.create_default_context()
    certificates = context.get_ca_certs(binary_form=True)
    if not certificates:
        return False
    path.write_bytes(java_key_store(certificates))
    return True


def java_key_store(certificates: list[bytes]) -> bytes:
    """Bytes of a JKS version 2 store with these DER certificates as trusted entries."""
    body = struct.pack(">III", 0xFEEDFEED, 2, len(certificates))
    body += b"".join(_entry(number, der) for number, der in enumerate(certificates))
    return body + hashlib.sha1(PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + body).digest()  # noqa: S324


def _entry(number: int, der: bytes) -> bytes:
    alias = f"ca{number}".encode()
    head = struct.pack(">IH", 2, len(alias)) + alias + struct.pack(">Q", 0)
    return head + struct.pack(">H", 5) + b"X.509" + struct.pack(">I", len(der)) + der
