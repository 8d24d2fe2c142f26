"""What the algebra refuses: words that are not a state."""

from __future__ import annotations

from twinstream.errors import MeshError


class StateFormError(MeshError, ValueError):
    """Bytes or words that are not a state of this plan."""
