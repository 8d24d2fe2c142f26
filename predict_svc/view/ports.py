"""Where the rules of a serving view keep its states: an ordered store with transactions."""

# Small on purpose: LMDB's own transaction fills `Moment`, so the port costs a read nothing.

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, Self

SLOTS = 32  # tables of states in a store
Table = Any
"""The handle of a table: good for the `StateReads` or `StateStore` that gave it, until it opens
another store.
"""


class Moment(Protocol):
    """A read transaction: a store as one commit left it, whatever is written meanwhile.

    Keys have 1 to 511 bytes. Without a table: the documents of a store, the states of a base.
    """

    def get(self, key: bytes, default: bytes | None = None, table: Table = None, /) -> Any:
        """The bytes, or a buffer of them; `default` where there are none."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *failure: object) -> None: ...


class Change(Moment, Protocol):
    """A write transaction: all of it is committed together, or nothing of it ever is."""

    def put(self, key: bytes, value: bytes, /) -> bool:
        """Put a document."""


class LandedBase(Protocol):
    """A base that was loaded. It never changes, and stays readable for who has it open."""

    def begin(self, *, buffers: bool = False) -> Moment:
        """With `buffers` what is got may be a view of the store, good until the moment ends."""


class StateReads(Protocol):
    """Reads the store of one partition, in any process of its host. Safe for threads.

    `begin` gives a `Moment`; it raises ViewNotReadyError while there is no store, and notices when
    the store was deleted and built anew: `tables` are other ones then.
    """

    where: str
    """Names the store in messages."""
    tables: Sequence[Table]
    """SLOTS of them."""

    def begin(self) -> Moment: ...

    def base(self, name: str) -> LandedBase:
        """A base, opened once; raises ViewNotReadyError when it cannot be opened."""

    def scan(
        self, moment: Moment, table: Table = None, start: bytes = b""
    ) -> Iterator[tuple[bytes, bytes]]:
        """(key, blob) in the order of keys' bytes, from the first key at or after `start` on."""

    def close(self) -> None:
        """Release what is open; a later `begin` opens it again."""


class BaseLoading(Protocol):
    """Where bases are brought."""

    scratch: Path
    """A folder for files under way. Those named `base-*.part` go when the store is opened."""

    def load_base(self, name: str, batches: Iterable[list[tuple[bytes, bytes]]]) -> None:
        """Make a base of entries sorted by key: there whole afterwards, or not at all.

        Raises BaseRefusedError when keys are not in order, or one comes twice.
        """


class BaseFiles(Protocol):
    """Where the files of published bases come from."""

    def download(self, uri: str, path: str | Path, version_id: str | None = None) -> None: ...


class StateStore(BaseLoading, Protocol):
    """The store of one partition for its one writer. Opening it again finds what was committed."""

    tables: Sequence[Table]
    """SLOTS of them."""

    def reading(self) -> AbstractContextManager[Moment]: ...

    def writing(self) -> AbstractContextManager[Change]:
        """Commits when the block ends, not when it raises; one writer at a time, on the whole host.

        Raises StoreFullError when the store takes no more; then nothing of it is committed.
        """

    def get_many(
        self, change: Change, table: Table, keys: list[bytes]
    ) -> list[tuple[bytes, bytes]]:
        """(key, blob) of those of the sorted `keys` that the table has, in their order."""

    def put_many(
        self, change: Change, table: Table, entries: Iterable[tuple[bytes, bytes]]
    ) -> None:
        """Put states; what a key had is replaced."""

    def empty(self, change: Change, table: Table) -> None:
        """Remove all states of a table; handles of it stay good."""

    def has_base(self, name: str) -> bool: ...

    def keep_bases(self, names: set[str]) -> None:
        """Remove all other bases."""

    def free_bytes(self) -> int:
        """How much the disk still takes."""

    def forget_dead_readers(self) -> None:
        """A reader that was killed within a read would keep every page written since:
        the file would grow without end.
        """

    def close(self) -> None: ...
