"""What a batch of scores is asked for with, and what it says of itself: the columns of its files,
their metadata, and `_score.json` beside them. Pure.
"""

from __future__ import annotations

import msgspec

from schemas.events import Cut, Release

FORMAT = 1
MANIFEST, STARTED, BAD_ROWS = "_score.json", "_score_started.json", "_bad_rows"
METADATA = b"twinstream.score"
"""Key of a Parquet file's metadata; its value is a `ScoreOrigin` as JSON."""
PREDICTION, MOMENT, SPINE_ROW, BATCH_SHAPE, FEATURES = (
    "prediction",
    "_at",
    "_row",
    "_batch_shape",
    "features",
)
"""Columns beside the spine's own."""
PART_BITS = 16
"""A file holds at most 2**16 rows: a multiple of every batch shape, so that a row's place in its
batch follows from its place in the file.
"""


class ScoreRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is scored, and where to; `at` "": rows without a moment are asked as of now, which is
    the time of the epoch.
    """

    model: str
    spine: str
    out: str = ""
    table: str = ""
    at: str = ""
    model_digest: str = ""
    features: bool = False
    strict: bool = False
    overwrite: bool = False


class ScoreOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """All that a score follows from, besides its row: what serving calls release and positions."""

    model: str
    release: Release
    cuts: dict[str, dict[int, Cut]]
    """The end of the release's epoch in the logs of all sources."""
    file_count: int
    """How many accepted files it and the epochs before it hold."""
    as_of_us: int
    """The time of the epoch: now, for rows that bring no moment."""
    asked_us: int | None = None
    """The moment that such rows were asked for instead."""
    versions: dict[str, str] = {}
    format: int = FORMAT


class ScoreFile(msgspec.Struct, frozen=True, kw_only=True):
    """One Parquet file; `path` is relative to the manifest."""

    path: str
    rows: int
    size_bytes: int
    sha256: str


class ScoreManifest(msgspec.Struct, frozen=True, kw_only=True):
    """Of a batch of scores that is whole; it is written last."""

    origin: ScoreOrigin
    spine: str
    spine_rows: int
    rows: int
    bad_rows: int
    digest: str
    """SHA-256 over number, moment and prediction of each row, in the spine's order: it does not
    depend on how files are written.
    """
    files: list[ScoreFile]
    table: str = ""


class ScoreAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the scoring process says at its end: where the scores are, or an error in words and the
    exit code of its kind.
    """

    out: str = ""
    manifest: ScoreManifest | None = None
    bad: list[str] = []
    """The first of the bad rows, in words."""
    seconds: dict[str, float] = {}
    error: str = ""
    code: int = 0
