"""States of many keys, and their bytes: the body of a partial, a base file's rows, an LMDB value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from twinstream.algebra.errors import StateFormError

Words = npt.NDArray[np.int64]


@dataclass(frozen=True)
class StateBatch:
    """Key i (sorted, each once) is `key_data[key_offsets[i]:key_offsets[i + 1]]`; its blob is
    `words[offsets[i]:offsets[i + 1]]`.
    """

    key_data: npt.NDArray[np.uint8]
    key_offsets: Words
    offsets: Words
    words: Words

    @classmethod
    def of(cls, keys: Sequence[bytes], blobs: Sequence[bytes]) -> StateBatch:
        """A batch of sorted keys with the bytes of their blobs."""
        data = np.frombuffer(bytearray(b"".join(keys)), np.uint8)
        words = np.frombuffer(bytearray(b"".join(blobs)), np.int64)
        sizes = np.fromiter(map(len, blobs), np.int64, len(blobs)) // 8
        return cls(
            data, _offsets(np.fromiter(map(len, keys), np.int64, len(keys))), _offsets(sizes), words
        )

    @classmethod
    def empty(cls) -> StateBatch:
        """No keys: the identity of merge."""
        return cls.of([], [])

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, start: int = 0) -> StateBatch:
        """The batch that `to_bytes` wrote, from `start` on; raises StateFormError when the lengths
        do not add up.
        """
        body = memoryview(data)[start:]
        if len(body) < 4:
            raise StateFormError(f"a batch of states has at least 4 bytes, not {len(body)}")
        n = int(np.frombuffer(body, np.uint32, 1)[0])
        if len(body) < 4 + 6 * n:
            raise StateFormError(f"a batch of {n} states does not fit into {len(body)} bytes")
        keys = _offsets(np.frombuffer(body, np.uint16, n, 4).astype(np.int64))
        at = 4 + 2 * n + int(keys[-1])
        words_at = -(-(at + 4 * n) // 8) * 8
        offsets = (
            _offsets(np.frombuffer(body, np.uint32, n, at).astype(np.int64))
            if len(body) >= words_at
            else np.zeros(1, np.int64)
        )
        if len(body) != words_at + 8 * int(offsets[-1]):
            raise StateFormError(
                f"a batch of {n} states should have {words_at + 8 * int(offsets[-1])} bytes, not {len(body)}"
            )
        key_data = np.frombuffer(body, np.uint8, int(keys[-1]), 4 + 2 * n).copy()
        return cls(
            key_data,
            keys,
            offsets,
            np.frombuffer(body, np.int64, int(offsets[-1]), words_at).copy(),
        )

    def to_bytes(self, before: bytes = b"") -> bytes:
        """uint32 n, uint16 key lengths, key bytes, uint32 word counts, zeros to a multiple of 8,
        int64 words; little-endian.

        They follow `before`, in one copy.
        """
        lengths, counts = (
            np.diff(self.key_offsets).astype(np.uint16),
            np.diff(self.offsets).astype(np.uint32),
        )
        padding = bytes(-(4 + lengths.nbytes + self.key_data.nbytes + counts.nbytes) % 8)
        return b"".join(
            (
                before,
                np.uint32(len(self)).tobytes(),
                lengths.data,
                self.key_data.data,
                counts.data,
                padding,
                self.words.data,
            )
        )

    def __len__(self) -> int:
        return len(self.key_offsets) - 1

    @cached_property
    def keys(self) -> list[bytes]:
        """The keys as bytes."""
        data = self.key_data.tobytes()
        return [data[a:b] for a, b in pairwise(self.key_offsets.tolist())]

    def blobs(self) -> list[bytes]:
        """The blobs as bytes."""
        data = self.words.tobytes()
        return [data[8 * a : 8 * b] for a, b in pairwise(self.offsets.tolist())]

    def blob(self, i: int) -> bytes:
        """The blob of key i."""
        return self.words[self.offsets[i] : self.offsets[i + 1]].tobytes()

    def key(self, i: int) -> bytes:
        """Key i."""
        return self.key_data[self.key_offsets[i] : self.key_offsets[i + 1]].tobytes()

    def slice(self, start: int, stop: int) -> StateBatch:
        """The keys `start..stop`, on the same memory."""
        keys, offsets = self.key_offsets[start : stop + 1], self.offsets[start : stop + 1]
        return StateBatch(
            self.key_data[keys[0] : keys[-1]],
            keys - keys[0],
            offsets - offsets[0],
            self.words[offsets[0] : offsets[-1]],
        )

    def take(self, rows: Words) -> StateBatch:
        """The keys with these numbers, in their order."""
        from twinstream.algebra.compiled import gather

        key_data, key_offsets = self.take_keys(rows)
        words, offsets = gather.take_words(self.words, self.offsets, rows)
        return StateBatch(key_data, key_offsets, offsets, words)

    def take_keys(self, rows: Words) -> tuple[npt.NDArray[np.uint8], Words]:
        """Bytes and offsets of the keys with these numbers."""
        from twinstream.algebra.compiled import gather

        data, offsets = gather.take_bytes(self.key_data, self.key_offsets, rows)
        return data, offsets


def _offsets(lengths: Words) -> Words:
    out = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=out[1:])
    return out
