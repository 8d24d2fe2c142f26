"""What the serving view refuses."""

from __future__ import annotations

from twinstream.errors import MeshError


class ViewNotReadyError(MeshError, LookupError):
    """The view, or the base asked for, is not on this host, or not whole yet."""


class WindowNotKept(MeshError, LookupError):  # noqa: N818
    """A window begins before what the base keeps."""


class ViewBehindError(MeshError, TimeoutError):
    """The view did not reach a position, or an age, within its bound."""


class BaseRefusedError(MeshError, ValueError):
    """A base file is not what its manifest says."""


class BaseGoneError(MeshError, LookupError):
    """A base was fetched, and another worker of the same store removed its file before it landed:
    it has to be fetched again.
    """


class EpochsFullError(MeshError, ValueError):
    """A store has speed states of as many epochs as it has tables:
    the next needs a base that contains some of them.
    """


class StoreFullError(MeshError, OSError):
    """The disk of the view is full. What was committed stands; nothing more is taken."""


class StoreFormError(MeshError, ValueError):
    """A store was written under another definition or form."""
