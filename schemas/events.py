"""Every event of the mesh, as frozen structs. Control events travel as JSON with CloudEvents
attributes in the headers.
"""

# Times are UTC microseconds since 1970 (`*_us`). Fields may be added with defaults only;
# anything else is a new major version.

from __future__ import annotations

from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """A fact that happened; its class name is the CloudEvents type."""


class FileRef(msgspec.Struct, frozen=True, kw_only=True):
    """One object on S3, pinned: `sha256` is the hex digest of its bytes, `version_id` the S3
    version or "".
    """

    uri: str
    sha256: str
    version_id: str = ""
    size_bytes: int = 0
    rows: int = -1
    partition: int = -1


class DataArrived(Event, frozen=True, kw_only=True):
    """Files of a source are on S3 and may be read; an empty `sha256` or `version_id` means:
    pin what is there now.
    """

    source: str
    files: list[FileRef]
    format: str = ""
    arrived_at_us: int = 0


class SealRequested(Event, frozen=True, kw_only=True):
    """A user, or a schedule, wishes the current epoch to end and the batch layer to run."""

    reason: str = ""
    requested_at_us: int = 0


class FileAccepted(Event, frozen=True, kw_only=True):
    """Ingest checked one file; its place in this topic is its order among all files."""

    source: str
    file: FileRef
    format: str
    accepted_at_us: int


class FileWithdrawn(Event, frozen=True, kw_only=True):
    """A user takes an accepted file back: it leaves the next epoch.
    `version_id` "" means every accepted version of the object.
    """

    source: str
    uri: str
    version_id: str = ""
    reason: str = ""
    withdrawn_at_us: int = 0


class DeadLetterResolved(Event, frozen=True, kw_only=True):
    """A user dealt with the dead letter at this place of the service's dead-letter topic:
    `how` is replayed or dropped.
    """

    service: str
    partition: int
    offset: int
    how: str
    reason: str = ""
    resolved_at_us: int = 0


class EpochSealRequested(Event, frozen=True, kw_only=True):
    """The batch layer asks ingest to end epoch `epoch` with a barrier in every partition of every
    log.
    """

    epoch: int
    requested_at_us: int = 0
    wishes: int = 0
    """How many messages of the topic of `SealRequested` this epoch answers."""
    retrains: int = 0
    """How many messages of the topic of `RetrainRequested` this epoch answers."""


class EpochSealed(Event, frozen=True, kw_only=True):
    """The first barrier of `epoch` in one log partition stands at `offset`;
    rows before it have raw offsets <= `raw_high`.
    """

    epoch: int
    source: str
    partition: int
    offset: int
    raw_high: int
    sealed_at_us: int = 0


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """End of an epoch in one log partition: the barrier's offset and the highest raw offset before
    it (-1: none).
    """

    offset: int
    raw_high: int


class ViewPublished(Event, frozen=True, kw_only=True):
    """The batch view of `epoch` stands on S3: one file per partition of the partials topic,
    immutable.
    """

    view: str
    source: str
    epoch: int
    cut: dict[int, Cut]
    files: list[FileRef]
    definition_digest: str
    as_of_us: int
    complete_since: dict[int, int]
    file_count: int = 0
    published_at_us: int = 0
    cuts: dict[str, dict[int, Cut]] = {}
    """The end of the epoch in the logs of all sources, this view's included."""
    left_out: list[int] = []
    """Numbers of this epoch's files, of all sources, that it lacks:
    withdrawn, or not to be read.
    """


class TrainingSetPublished(Event, frozen=True, kw_only=True):
    """A training set as of an epoch's cut: Parquet files, one row per labelled moment,
    ordered by time.
    """

    model: str
    epoch: int
    files: list[FileRef]
    columns: list[str]
    digest: str
    rows: int
    first_at_us: int
    last_at_us: int
    statistics_uri: str
    definition_digest: str


class ModelTrained(Event, frozen=True, kw_only=True):
    """A model was trained, validated and tested; its folder holds safetensors,
    config and metrics.
    """

    model: str
    model_digest: str
    uri: str
    version_ids: dict[str, str]
    epoch: int
    training_set_digest: str
    definition_digest: str
    metrics: dict[str, float]
    trained_at_us: int = 0
    seconds: float = 0.0


class ModelPromoted(Event, frozen=True, kw_only=True):
    """From now on this model answers; the predictor swaps to it as a whole. While the model is
    held this has no effect, unless it was promoted by hand.
    """

    model: str
    model_digest: str
    uri: str
    version_ids: dict[str, str]
    definition_digest: str
    metrics: dict[str, float]
    reason: str = ""
    promoted_at_us: int = 0
    by: str = ""
    """Who promoted it by hand; "": the trainer did."""


class ModelRejected(Event, frozen=True, kw_only=True):
    """A trained model did not meet what its definition calls good enough;
    the one before it stays.
    """

    model: str
    model_digest: str
    reason: str
    metrics: dict[str, float]
    rejected_at_us: int = 0


class ModelRolledBack(Event, frozen=True, kw_only=True):
    """The model before answers again."""

    model: str
    model_digest: str
    to_model_digest: str
    reason: str
    rolled_back_at_us: int = 0
    by: str = ""
    """Who rolled it back."""


class ModelHeld(Event, frozen=True, kw_only=True):
    """From now on what the trainer promotes has no effect, until the model is released; what is
    promoted or rolled back by hand has.
    """

    model: str
    held: bool = True
    """False: it is released."""
    reason: str = ""
    held_at_us: int = 0
    by: str = ""
    """Who holds or releases it."""


class ShadowChosen(Event, frozen=True, kw_only=True):
    """From now on this model is asked what the model that serves is asked, and its answers are
    remembered, not given. `model_digest` "": none is.
    """

    model: str
    model_digest: str
    definition_digest: str
    uri: str = ""
    version_ids: dict[str, str] = {}
    reason: str = ""
    chosen_at_us: int = 0
    by: str = ""
    """Who chose it."""


class CanaryChosen(Event, frozen=True, kw_only=True):
    """From now on this model answers the keys that fall to it by their hash: a share of all.
    `model_digest` "": none does.
    """

    model: str
    model_digest: str
    definition_digest: str
    share: float = 0.0
    """From 0 to 1."""
    uri: str = ""
    version_ids: dict[str, str] = {}
    reason: str = ""
    chosen_at_us: int = 0
    by: str = ""
    """Who chose it."""


class ViewPosition(msgspec.Struct, frozen=True, kw_only=True):
    """What one partition of a serving view had seen: base epoch, last log offset and highest raw
    offset per log partition.
    """

    epoch: int
    log: dict[int, int]
    raw: dict[int, int]


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """What answers a request, as one thing."""

    definition: str
    epoch: int
    model: str

    def __str__(self) -> str:
        """The short form that an answer names, for example `3f2a9c1b-e4-81ab02ff`."""
        return f"{self.definition[:8]}-e{self.epoch}-{self.model[:8]}"


class ServedRow(msgspec.Struct, frozen=True, kw_only=True):
    """One answered row; `features` in the order of the event's `inputs`, each number in the
    shortest text that means it exactly.
    """

    at_us: int
    request: dict[str, Any]
    features: list[Any]
    output: float
    batch_shape: int = 0


class ShadowAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a candidate would have answered to the rows of an event: row i lay at place i of a batch
    of that shape.
    """

    model_digest: str
    outputs: list[float]
    batch_shape: int


class PredictionServed(Event, frozen=True, kw_only=True):
    """One answered request, some of its rows, or several requests that were answered together:
    enough to rebuild each row's features and score to the byte on the same CPU family.

    The row at index i has the id `<id>-<first_row + i>`; with `starts`, row j of the request number
    k has the id `<id>.<k>-<j>`. `protocol/predictions.py` takes the rows apart.
    """

    id: str
    model: str
    release: Release
    inputs: list[str]
    positions: dict[str, list[ViewPosition]]
    """Per view the different positions at which its keys were read:
    at most one for each of its partitions.
    """
    places: dict[str, list[int]]
    """Per view, for each row, the index of its position."""
    rows: list[ServedRow]
    first_row: int = 0
    served_at_us: int = 0
    starts: list[int] = []
    """Where the rows of each request begin that was answered together with others."""
    shadow: ShadowAnswer | None = None
    """What the candidate beside the served model says of the same rows."""
    canary: bool = False
    """The model of the release answers a share of the keys only."""


class DriftDetected(Event, frozen=True, kw_only=True):
    """A monitored series changed beyond its test's threshold."""

    model: str
    series: str
    detector: str
    statistic: float
    threshold: float
    detected_at_us: int = 0


class RetrainRequested(Event, frozen=True, kw_only=True):
    """Training should start again, and why."""

    model: str
    reason: str
    requested_at_us: int = 0


class MetricObserved(Event, frozen=True, kw_only=True):
    """One run-time metric of one process over the last flush interval."""

    name: str
    value: float
    unit: str
    service: str
    labels: dict[str, str] = {}
    kind: str = "gauge"
    quantiles: dict[str, float] = {}
    observed_at_us: int = 0


class GapFound(Event, frozen=True, kw_only=True):
    """A serving view refused a partial because the one before it is missing;
    the speed layer resumes at the break.
    """

    view: str
    partition: int
    origin_partition: int
    expected_after: int
    found_previous: int
    found_at_us: int = 0


EVENT_TYPES: dict[str, type[Event]] = {kind.__name__: kind for kind in Event.__subclasses__()}
"""Every event above, by its CloudEvents type."""

_encoder = msgspec.json.Encoder()
_decoders = {name: msgspec.json.Decoder(cls) for name, cls in EVENT_TYPES.items()}


def encode(event: Event) -> bytes:
    """JSON bytes of an event."""
    return _encoder.encode(event)


def decode(type_name: str, data: bytes) -> Event:
    """The event of CloudEvents type `type_name`; raises `msgspec.ValidationError` or `KeyError` for
    what is not one.
    """
    return _decoders[type_name].decode(data)
