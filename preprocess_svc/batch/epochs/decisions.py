"""What was decided about an epoch, once for ever: the first process that writes it down decides,
and every other one, living or later, publishes exactly that.
"""

# An attempt at an epoch touches nothing that others read. Its last act is one conditional put of
# its decision. So safety needs no clock, and no lease: a process that slept for a day and wakes up
# finds the other's decision, and its own attempt counts for nothing.

from __future__ import annotations

import hashlib
import uuid
from typing import TypeVar

import msgspec

from preprocess_svc.batch.epochs.plan import Land
from preprocess_svc.batch.epochs.ports import Objects
from schemas.events import Cut, EpochSealed, TrainingSetPublished, ViewPublished
from schemas.topics import decision_prefix
from twinstream.errors import UNDECODABLE, MeshError

Document = TypeVar("Document")


class BlockedError(MeshError, RuntimeError):
    """A step cannot go on without breaking a law; the message says what blocks it and what to
    do.
    """


class EpochRows(msgspec.Struct, frozen=True):
    """One source's rows of an epoch: how many, and the S3 path of the attempt that wrote them;
    "": there is no row.
    """

    count: int
    path: str


class EpochDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Some views of an epoch as they are to be published, and the rows that were new in them.

    `by` names the process and its attempt: no two decisions are equal.
    """

    by: str
    rows: dict[str, EpochRows]
    manifests: list[ViewPublished]


class TrainingDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A training set as it is to be published."""

    by: str
    published: TrainingSetPublished


class Decisions:
    """The decisions of a pipeline's epochs, as objects of the warehouse bucket.

    The k-th decision of an epoch is the object number k: whoever creates it has decided. A second
    one is needed only for a view that came into the definition after the first.
    """

    def __init__(
        self,
        objects: Objects,
        bucket: str,
        pipeline: str,
        owner: str,
    ) -> None:
        self._objects = objects
        self._bucket = bucket
        self._pipeline = pipeline
        self._owner = owner

    def of(self, epoch: int, seal: EpochSealed | None) -> list[EpochDecision]:
        """All decisions of an epoch, in their order."""
        folder = self._folder(epoch, seal)
        keys = self._objects.list(self._bucket, f"{folder}/views/")
        return [self._read(key, EpochDecision) for key in keys]

    def settle(
        self,
        epoch: int,
        seal: EpochSealed | None,
        before: list[EpochDecision],
        mine: EpochDecision,
    ) -> list[EpochDecision]:
        """All decisions of the epoch, this one or another's included; `before`: those that this
        one knows of.
        """
        key = f"{self._folder(epoch, seal)}/views/{len(before):05d}"
        self._objects.create(self._bucket, key, msgspec.json.encode(mine))
        return self.of(epoch, seal)

    def settle_training(
        self, seal: EpochSealed | None, mine: TrainingSetPublished
    ) -> TrainingSetPublished:
        """The training set that counts for its model, epoch and definition."""
        folder = self._folder(mine.epoch, seal)
        key = f"{folder}/sets/{mine.model}/{mine.definition_digest}"
        document = TrainingDecision(by=self.attempt(), published=mine)
        if self._objects.create(self._bucket, key, msgspec.json.encode(document)):
            return mine
        return self._read(key, TrainingDecision).published

    def attempt(self) -> str:
        """A name for one attempt of this process."""
        return f"{self._owner}/{uuid.uuid4().hex}"

    def _folder(self, epoch: int, seal: EpochSealed | None) -> str:
        return f"{decision_prefix(self._pipeline, epoch)}/{life_of(seal)}"

    def _read(self, key: str, kind: type[Document]) -> Document:
        try:
            return msgspec.json.decode(self._objects.get(self._bucket, key), type=kind)
        except UNDECODABLE as error:
            raise BlockedError(
                f"s3://{self._bucket}/{key} is not a decision that a batch process wrote: restore "
                f"it, or delete it if nothing of its epoch was published: {error}"
            ) from error


def life_of(seal: EpochSealed | None) -> str:
    """Tells apart the same epoch of two lives of a mesh, whose topics were made anew beside an old
    bucket; `seal` is the first that the epoch has in its topic.
    """
    said = b"" if seal is None else msgspec.json.encode(seal)
    return hashlib.sha256(said).hexdigest()[:16]


def rows_of(decisions: list[EpochDecision]) -> dict[str, EpochRows]:
    """The rows of the epoch that are decided, by source; each source's are decided once."""
    return {name: rows for decision in reversed(decisions) for name, rows in decision.rows.items()}


def manifests_of(decisions: list[EpochDecision], views: tuple[str, ...]) -> list[ViewPublished]:
    """What is decided of these views; of each the first."""
    first: dict[str, ViewPublished] = {}
    for decision in decisions:
        for manifest in decision.manifests:
            first.setdefault(manifest.view, manifest)
    return [first[view] for view in views if view in first]


def as_decided(step: Land, decisions: list[EpochDecision]) -> Land:
    """The step with the files, the time and the gaps that its epoch has by its first decision.

    Raises BlockedError when that one ends elsewhere than the step.
    """
    if not decisions:
        return step
    decided = decisions[0].manifests[0]
    for source, cut in decided.cuts.items():
        _refuse_other_end(step, source, cut)
    return msgspec.structs.replace(
        step,
        files_to=decided.file_count,
        landed_as_of_us=decided.as_of_us,
        left_out=tuple(decided.left_out),
    )


def _refuse_other_end(
    step: Land,
    source: str,
    decided: dict[int, Cut],
) -> None:
    ends = {partition: end.offset for partition, end in decided.items()}
    sealed = {partition: end.offset for partition, end in step.cut.get(source, decided).items()}
    if ends != sealed:
        raise BlockedError(
            f"epoch {step.epoch} was decided with an end of {source!r} at {ends}, and ingest "
            f"says {sealed}: were topics of the mesh made anew in part?"
        )
