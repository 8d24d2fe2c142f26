"""The run loop: reads the topics in the order of known time, hands messages to the handlers, and once a second tells what follows."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

import msgspec
import structlog

from monitor_svc import handlers, reading
from monitor_svc.board import Board
from monitor_svc.comparison_metrics import ComparisonMetrics
from monitor_svc.ledger import LONGEST_TEXT, DeadLetter
from monitor_svc.ports import MetricSink, Publisher
from monitor_svc.quality import Scores
from monitor_svc.reading import Streams
from monitor_svc.state import State
from monitor_svc.telemetry import SECOND_US
from monitor_svc.watch import ModelWatch
from schemas import events as ev
from twinstream.errors import PermanentError, TransientError
from twinstream.mesh.clock import Clock
from twinstream.mesh.events import event_of, headers_of
from twinstream.mesh.heartbeat import BackgroundBeat
from twinstream.mesh.quarantine import Quarantine

BATCH = 2000
MOST_UNSENT = 100
LONGEST_NUMBER = 18
WAIT_S, PAUSE_S = 0.05, 1.0
_log = structlog.get_logger()


class Run:
    """One process's loop; `step` is called until it is told to stop."""

    def __init__(
        self,
        state: State,
        streams: Streams,
        board: Board,
        clock: Clock,
        *,
        publisher: Publisher,
        metrics: MetricSink,
        quarantine: Quarantine,
        pulse: BackgroundBeat,
    ) -> None:
        self._state, self._streams, self._board, self._clock = state, streams, board, clock
        self._publisher, self._metrics, self._quarantine, self._pulse = (
            publisher,
            metrics,
            quarantine,
            pulse,
        )
        self._comparisons = ComparisonMetrics(metrics)
        self._unsent: deque[ev.Event] = deque(maxlen=MOST_UNSENT)
        self._untaken: deque[Any] = deque()
        self._dropped = 0
        self._sources = reading.label_topics(state.pipeline)
        self._measured: dict[str, int] = {}
        self._second = 0

    def until(self, stopping: threading.Event) -> None:
        """Run until told to stop; while Kafka does not answer, or takes no dead letter, this waits."""
        while not stopping.is_set():
            try:
                self.step()
            except TransientError as error:
                _log.warning("monitor_waits", reason=str(error))
                stopping.wait(PAUSE_S)

    def step(self) -> None:
        """Read one round, then, once a second, say what follows from it."""
        self._state.told(self._clock.now_us())
        if not self._untaken:
            self._read()
        with self._board.lock:
            while self._untaken:
                self._take(self._untaken[0])
                self._untaken.popleft()
            self._follow_ends()
        now_us = self._clock.now_us()
        if now_us // SECOND_US > self._second:
            self._second = now_us // SECOND_US
            self._each_second(now_us)

    def _read(self) -> None:
        """Add to what is to be taken; what was read stays there when a later topic cannot be read."""
        read_predictions, read_labels = self._state.known.next_streams()
        streams = self._streams
        for topics in (streams.facts, streams.metrics, streams.dead_letters):
            self._untaken.extend(topics.poll(BATCH, 0))
        if (
            not streams.facts.caught_up()
        ):  # they say which labels are where this service does not read
            return
        if read_labels:
            self._untaken.extend(streams.labels.poll(BATCH, 0))
        if read_predictions:
            self._untaken.extend(streams.predictions.poll(BATCH, WAIT_S))

    def _take(self, message: Any) -> None:
        """One message to its handler; what cannot be handled is a dead letter, once, byte for byte."""
        self._quarantine.handle(message, lambda: self._handle(message))

    def _handle(self, message: Any) -> None:
        topic = message.topic()
        if topic in reading.DEAD_LETTERS:
            handlers.handle_dead_letter(
                dead_letter_of(message, reading.DEAD_LETTERS[topic]), self._state
            )
        elif topic in self._sources:
            handlers.handle_log_message(
                self._sources[topic], message.partition(), message.value() or b"", self._state
            )
        else:
            reading.handle(event_of(message), self._state)

    def _follow_ends(self) -> None:
        known, streams = self._state.known, self._streams
        known.predictions_at_end = streams.predictions.at_end()
        known.labels_open = {
            (self._sources[topic], partition)
            for topic, partition in streams.labels.partitions
            if not streams.labels.ended(topic, partition)
        }
        if not self._state.caught_up and all(topics.caught_up() for topics in streams.all()):
            self._caught_up()

    def _caught_up(self) -> None:
        self._state.telemetry.redraw(self._clock.now_us())
        self._state.caught_up = True
        models = {name: watch.predicted_total for name, watch in self._state.models.items()}
        _log.info("caught_up", models=models)

    def _each_second(self, now_us: int) -> None:
        self._unsent.extend(self._judged(now_us))
        self._send()
        self._measure()
        lag = sum(topics.lag() for topics in self._streams.all())
        self._metrics.gauge("monitor_lag_messages", lag, "1")
        self._pulse.tell(self._state.caught_up, lag, {"page_listeners": self._board.listen(0)})

    def _judged(self, now_us: int) -> list[ev.Event]:
        """What is to be said by now, the page told of this second."""
        with self._board.lock:
            handlers.advance(self._state, now_us)
            found = handlers.judge(self._state, now_us)
            values = self._state.telemetry.tick(now_us)
            self._board.announce(now_us // SECOND_US, values)
        return found

    def _send(self) -> None:
        """Publish what is to be said; while Kafka is away it waits, and what cannot be said at all
        is left out.
        """
        while self._unsent:
            try:
                self._publish(self._unsent[0])
            except TransientError as error:
                _log.warning("event_waits", waiting=len(self._unsent), reason=str(error))
                return
            except PermanentError as error:
                kind = type(self._unsent[0]).__name__
                _log.error("event_left_out", type=kind, reason=str(error))
            self._unsent.popleft()

    def _publish(self, event: ev.Event) -> None:
        self._publisher.publish(event, key=getattr(event, "model", None))
        _log.info("event_published", type=type(event).__name__, **_named(event))

    def _measure(self) -> None:
        """Own metrics; quality only when it rests on new labels, so that an old number does not
        look new.
        """
        self._measure_counts()
        for name, watch in self._state.models.items() if self._state.caught_up else ():
            self._comparisons.tell(watch)
            labelled = sum(watch.quality.counts.values())
            if labelled and labelled != self._measured.get(name):
                self._measured[name] = labelled
                self._measure_quality(name)

    def _measure_counts(self) -> None:
        for (model, how), n in self._state.unpublished_labels.items():
            self._metrics.count("monitor_labelled_total", n, model=model, how=how)
        self._state.unpublished_labels.clear()
        if dropped := self._state.telemetry.dropped - self._dropped:
            self._metrics.count("monitor_metrics_dropped_total", dropped)
            self._dropped += dropped

    def _measure_quality(self, name: str) -> None:
        watch = self._state.models[name]
        self._measure_models(name, watch)
        for window, of, scores in _windows(watch):
            labels = {"model": name, "window": window, **({"release": of} if of else {})}
            self._measure_window(scores, labels)
        self._measure_scores(name, watch)

    def _measure_window(
        self,
        scores: Scores,
        labels: dict[str, str],
    ) -> None:
        if (area := scores.get("auc")) is not None:
            self._metrics.gauge("monitor_auc", area, "1", **labels)
        if (loss := scores.get("log_loss")) is not None:
            self._metrics.gauge("monitor_log_loss", loss, "nat", **labels)
        if (rmse := scores.get("rmse")) is not None:
            self._metrics.gauge("monitor_rmse", rmse, "", **labels)
        if (mae := scores.get("mae")) is not None:
            self._metrics.gauge("monitor_mae", mae, "", **labels)

    def _measure_scores(self, name: str, watch: ModelWatch) -> None:
        if watch.scores:
            mean = sum(watch.scores) / len(watch.scores)
            self._metrics.gauge("monitor_prediction_mean", mean, "1", model=name)

    def _measure_models(self, name: str, watch: ModelWatch) -> None:
        for digest, measured in watch.quality.models.items():
            self._measure_model(measured.scores(), {"model": name, "digest": digest[:12]})

    def _measure_model(
        self,
        scores: Scores,
        labels: dict[str, str],
    ) -> None:
        if (area := scores.get("auc")) is not None:
            self._metrics.gauge("monitor_model_auc", area, "1", **labels)
        if (loss := scores.get("log_loss")) is not None:
            self._metrics.gauge("monitor_model_log_loss", loss, "nat", **labels)
        if (rmse := scores.get("rmse")) is not None:
            self._metrics.gauge("monitor_model_rmse", rmse, "", **labels)
        if (mae := scores.get("mae")) is not None:
            self._metrics.gauge("monitor_model_mae", mae, "", **labels)


def _windows(watch: ModelWatch) -> list[tuple[str, str, Scores]]:
    """(which labelled rows, of which release, scores by name)."""
    quality, release = watch.quality, watch.quality.releases.get(watch.last_release)
    rows = [("rolling", "", quality.latest()), ("all", "", quality.all.scores())]
    if release is not None:
        rows.append(("release", watch.last_release, release.scores()))
    return rows


def dead_letter_of(message: Any, service: str) -> DeadLetter:
    """A dead letter without its content; what its headers do not say is "" or -1."""
    facts = _facts_of(message)
    return DeadLetter(
        service=service,
        reason=facts.get("reason", "")[:LONGEST_TEXT],
        topic=facts.get("topic", "")[:LONGEST_TEXT],
        partition=_number(facts.get("partition", "")),
        offset=_number(facts.get("offset", "")),
        bytes=len(message.value() or b""),
        at_us=message.timestamp()[1] * 1000,
        kind="bug" if facts.get("kind") == "bug" else "permanent",
    )


def _facts_of(message: Any) -> dict[str, str]:
    """What the service that wrote a dead letter says of it."""
    return {
        name.removeprefix("dead_letter_"): (value or b"").decode(errors="replace")
        for name, value in headers_of(message)
        if name.startswith("dead_letter_")
    }


def _number(text: str) -> int:
    """A number of a header; -1 for what is none, since anyone may write one."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER else -1


def _named(event: ev.Event) -> dict[str, Any]:
    return {
        name: value
        for name, value in msgspec.to_builtins(event).items()
        if isinstance(value, (str, float))
    }
