"""What text files begin with: a byte order mark of UTF-8 is passed over, other encodings and packed
files are refused with a word.
"""

from __future__ import annotations

from twinstream.files.parts import UnreadableFileError

BOM = b"\xef\xbb\xbf"
_FOREIGN = (
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
    (b"\x1f\x8b", "packed with gzip"),
    (b"BZh", "packed with bzip2"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd"),
    (b"\xfd7zXZ", "packed with xz"),
    (b"PK\x03\x04", "a zip archive, as Excel's .xlsx is"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
)


def without_mark(head: bytes) -> bytes:
    """The first block of a text file without its mark; raises UnreadableFileError for what is no
    UTF-8 text at all.
    """
    for start, what in _FOREIGN:
        if head.startswith(start):
            raise UnreadableFileError(
                f"it is {what}: send UTF-8 text, not packed, or name its form"
            )
    return head.removeprefix(BOM)


def is_utf8(data: bytes | memoryview) -> bool:
    """Whether all of it is."""
    try:
        str(data, "utf-8")
    except UnicodeDecodeError:
        return False
    return True
