"""Which manifests of batch views a reader believes: those of the next epoch, of our buckets and partitions. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from schemas import events as ev
from schemas.plausible import foreign
from twinstream.define import Pipeline
from twinstream.protocol.epoch_order import EpochOrder


class Manifests:
    """Which events of the topic of batch views a reader believes; one for each pass from the topic's beginning.

    A view that joined later begins with an epoch that another view has, or the next; what earlier
    definitions published counts for the order of epochs too. What names objects that are not the
    mesh's, or partitions that it does not have, counts for nothing.
    """

    def __init__(self, pipeline: Pipeline, partitions: int, bucket: str) -> None:
        self._sources = {view.name: view.source.name for view in pipeline.views}
        self._digest, self._partitions, self._bucket = pipeline.digest, partitions, bucket
        self._epochs = EpochOrder()

    def refusal(self, event: ev.Event) -> str:
        """Why an event cannot be believed; "" when it can."""
        if not isinstance(event, ev.ViewPublished):
            return ""
        return next(self._problems(event), "") or self._epochs.refusal(event.epoch)

    def _problems(self, event: ev.ViewPublished) -> Iterator[str]:
        if found := foreign(event, self._bucket, ""):
            yield found
        numbers = [file.partition for file in event.files]
        if len(set(numbers)) < len(numbers) or not set(numbers) <= set(range(self._partitions)):
            yield f"its files are not of different partitions below {self._partitions}"
        logs = (event.cut, *event.cuts.values())
        if any(p not in range(self._partitions) for log in logs for p in log):
            yield f"its cut names partitions beyond the {self._partitions} of a log"
        if (
            event.definition_digest == self._digest
            and self._sources.get(event.view) != event.source
        ):
            yield f"its definition has no view {event.view!r} of {event.source!r}"
