"""The definition and the algebra read a window alike."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from twinstream.algebra import windows
from twinstream.define.durations import window_us
from twinstream.errors import DefinitionError

texts = st.one_of(
    st.builds("{}{}".format, st.integers(0, 40_000), st.sampled_from("smhdwx")),
    st.sampled_from(["all", "", "m", "5 m", "-5m", "5.5h", "５m", "05m"]),
)


@given(text=texts)
@example("365d")
@example("366d")
@example("8760h")
@example("5m")
@example("299s")
def test_a_window_has_one_length_or_none(text: str) -> None:
    assert declared(text) == computed(text)


def declared(text: str) -> int | None:
    """As a definition takes it; 0 for all time, None where it is refused."""
    try:
        return window_us(text) or 0
    except DefinitionError:
        return None


def computed(text: str) -> int | None:
    try:
        return windows.length_us(text)
    except ValueError:
        return None
