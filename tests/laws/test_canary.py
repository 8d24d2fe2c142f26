"""Which keys fall to a canary depends on the key, the candidate and the share alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twinstream.protocol.canary import falls_to

KEYS = [f"key-{i}".encode() for i in range(4000)]
shares = st.floats(0, 1)


def fallen(digest: str, share: float) -> set[bytes]:
    return {key for key in KEYS if falls_to(digest, share, key)}


@given(st.text(st.characters(codec="ascii")), shares, shares, st.binary())
def test_a_greater_share_takes_no_key_away(
    digest: str, one: float, other: float, key: bytes
) -> None:
    less, more = sorted((one, other))
    assert falls_to(digest, less, key) <= falls_to(digest, more, key)
    assert not falls_to(digest, 0.0, key)
    assert falls_to(digest, 1.0, key)


def test_so_many_keys_fall_to_it_as_the_share_says() -> None:
    """Four standard deviations of a fair draw."""
    for share in (0.05, 0.5):
        bound = 4 * (len(KEYS) * share * (1 - share)) ** 0.5
        assert abs(len(fallen("a" * 64, share)) - len(KEYS) * share) < bound


def test_the_keys_of_a_candidate_are_known() -> None:
    """A predictor of the next version answers them the same."""
    assert [i for i in range(60) if falls_to("a" * 64, 0.05, f"key-{i}".encode())] == KNOWN


def test_another_candidate_gets_other_keys() -> None:
    one, other = fallen("a" * 64, 0.1), fallen("b" * 64, 0.1)
    assert len(one & other) < len(one) / 3


KNOWN = [36, 43]
"""By hand: the first eight bytes of keyed BLAKE2b as a number, over 2**64."""
