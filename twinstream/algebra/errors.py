"""What the algebra refuses: a number that does not fit, words that are no state."""

from __future__ import annotations

from twinstream.errors import MeshError


class StateOverflowError(MeshError, OverflowError):
    """A sum passed 128 bits or a count its width. Nothing was wrapped; the state before is untouched."""


class StateFormError(MeshError, ValueError):
    """Bytes or words that are no state of this plan."""
