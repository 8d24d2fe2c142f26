"""Which keys a canary answers: the same for every predictor, for as long as its share stays.
Pure.
"""

from __future__ import annotations

from hashlib import blake2b

PLACES = 1 << 64


def falls_to(
    digest: str,
    share: float,
    key: bytes,
) -> bool:
    """Whether the canary with this digest answers a key. Another candidate gets other keys; a
    greater share adds keys and takes none away.
    """
    hashed = blake2b(key, digest_size=8, key=digest.encode()[:64]).digest()
    return int.from_bytes(hashed, "big") < share * PLACES
