"""One view's part of the job that folds an epoch."""

from __future__ import annotations

import msgspec

from schemas.events import FileRef
from twinstream.define import View


class Fold(msgspec.Struct, frozen=True):
    """One view's part of the job: `since` is its `complete_since`, `before` its files of the epoch
    before (by partition), `prefix` the S3 URI to write below.

    `whole`: there is no base before to build on; all of the history is folded.
    """

    view: View
    since: dict[int, int]
    before: dict[int, FileRef]
    prefix: str
    whole: bool = False
