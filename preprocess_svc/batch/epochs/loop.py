"""The batch layer's loop: learn what the topics say, do the one thing that is next, publish it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from preprocess_svc.batch.epochs.next_step import next_step
from preprocess_svc.batch.epochs.plan import Land, Plan, Rest, Seal, Step, Train, Wait
from preprocess_svc.batch.epochs.ports import Ports
from preprocess_svc.batch.epochs.seen import Seen
from preprocess_svc.batch.spark.away import is_away
from schemas.events import (
    EpochSealRequested,
    Event,
    TrainingSetPublished,
    ViewPublished,
)
from twinstream.errors import TransientError
from twinstream.mesh.attempts import Attempts
from twinstream.mesh.clock import Clock

POLL_S = 0.2
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
_log = structlog.get_logger()


class Batch:
    """Runs the steps. `doing` is what it does now and `blocked` why it repeats a step, both for the heartbeat."""

    def __init__(
        self,
        plan: Plan,
        ports: Ports,
        clock: Clock,
        attempts: Attempts,
    ) -> None:
        self._plan = plan
        self._ports = ports
        self._clock = clock
        self._attempts = attempts
        self.seen = Seen(clock.now_us())
        self.doing = "starting"
        self.blocked = ""
        self._pause_s = FIRST_PAUSE_S
        self._due_s = 0.0

    def run(self, stopping: threading.Event) -> None:
        """Until `stopping`. An engine that is away is waited for; a bug ends the process, and the next one does the step again."""
        caught_up = False
        while not stopping.is_set():
            try:
                if not caught_up:
                    self.learn(to_end=True)
                    caught_up = True
                if not self.once():
                    self.learn(to_end=False)
            except TransientError as error:
                self._wait("reading and publishing", error)
                stopping.wait(self._pause_s)

    def once(self) -> bool:
        """Do the next step; False when there was nothing to do but wait."""
        if time.monotonic() < self._due_s:
            return False
        step = next_step(self._plan, self.seen, self._clock.now_us())
        self.doing = type(step).__name__.lower()
        return self._do(step)

    def learn(self, *, to_end: bool) -> None:
        """Take in what the topics say: what is there within a moment, or all that there is now."""
        found = self._ports.poll(POLL_S)
        while found is not None or (to_end and not self._ports.at_end()):
            if found is not None:
                self.seen.take(*found)
            found = self._ports.poll(0.0 if not to_end else POLL_S)

    def _do(self, step: Step) -> bool:
        match step:
            case Rest() | Wait():
                return False
            case Seal():
                self._seal(step)
            case Land():
                self._land()
            case Train():
                self._train(step)
        return True

    def _seal(self, step: Seal) -> None:
        """Dated by this process's own clock: no date of another moves it."""
        _log.info("seal_requested", epoch=step.epoch, reason=step.reason)
        request = EpochSealRequested(
            epoch=step.epoch,
            requested_at_us=self._clock.now_us(),
            wishes=step.wishes,
            retrains=step.retrains,
        )
        self._publish(request, str(step.epoch))

    def _land(self) -> None:
        """All files that are accepted by now belong to the epoch, so everything is read up to its end first."""
        self.learn(to_end=True)
        step = next_step(self._plan, self.seen, self._clock.now_us())
        if not isinstance(step, Land):
            return
        place = f"the landing of epoch {step.epoch}"
        if self._tried(
            place,
            lambda: self._timed(
                "land", lambda: self._publish_all(self._ports.land(step, self.seen))
            ),
        ):
            _log.info("epoch_landed", epoch=step.epoch, views=len(step.views))
            self._sweep(step)

    def _sweep(self, step: Land) -> None:
        """What is not deleted now is deleted after the next epoch."""
        without = f"old objects were not deleted after epoch {step.epoch}"
        self._aside(lambda: self._ports.retire(step), without)

    def _aside(self, work: Callable[[], object], without: str) -> None:
        """Do what nothing waits for; `without`: what to say when it fails."""
        try:
            work()
        except Exception as error:  # noqa: BLE001  (nothing waits for it)
            _log.error("left_undone", what=without, exc_info=error)
            self._ports.alert(f"{without}: {type(error).__name__}: {error}")

    def _tried(
        self,
        place: str,
        work: Callable[[], object],
        give_up: Callable[[str], None] | None = None,
    ) -> bool:
        """Do a step; False when it failed and is tried again after a pause, or was given up."""
        try:
            work()
        except Exception as error:  # noqa: BLE001  (raised again but for what is waited for or given up)
            if not self._is_over(place, error, give_up):
                return False
        self._attempts.done(place)
        self.blocked = ""
        self._pause_s = FIRST_PAUSE_S
        return True

    def _is_over(
        self,
        place: str,
        error: Exception,
        give_up: Callable[[str], None] | None,
    ) -> bool:
        """Whether a step that failed was given up.

        An engine that is away costs no attempt. A bug ends the process until its last attempt. Then
        what may be passed over is given up; what may not blocks: the process stays up, not ready,
        and says so, for its cause may be mended from outside.
        """
        if is_away(error):
            self._wait(place, error)
            return False
        _log.error("step_failed", step=place, exc_info=error)
        if self._attempts.met(place, error):
            raise error
        if give_up is None:
            self._wait(place, error)
            return False
        give_up(self._attempts.why(place))
        return True

    def _wait(self, place: str, error: Exception) -> None:
        """Not ready, and not before a pause that grows."""
        self.blocked = f"{place}: {type(error).__name__}: {str(error)[:500]}"
        self._due_s = time.monotonic() + self._pause_s
        self._pause_s = min(LONGEST_PAUSE_S, 2 * self._pause_s)
        _log.warning("step_waits", step=place, pause_s=self._pause_s, reason=str(error)[:500])

    def _train(self, step: Train) -> None:
        manifest = self.seen.manifest(step.epoch)
        assert manifest is not None
        for model in step.models:
            self._train_model(model, manifest)

    def _train_model(self, model: str, manifest: ViewPublished) -> None:
        """A set that cannot be built is given up for this epoch; it stops neither epochs nor other
        models.
        """

        def give_up(why: str) -> None:
            self.seen.decline(model, manifest.epoch, self._plan.digest)
            self._ports.alert(f"no training set of {model} for epoch {manifest.epoch}: {why}")

        place = f"the training set of {model} for epoch {manifest.epoch}"
        self._tried(place, lambda: self._train_if_grown(model, manifest), give_up)

    def _train_if_grown(self, model: str, manifest: ViewPublished) -> None:
        if self._grown(model, manifest.epoch):
            self._timed("training_set", lambda: self._train_one(model, manifest))
        else:
            self.seen.decline(model, manifest.epoch, self._plan.digest)

    def _grown(self, model: str, epoch: int) -> bool:
        """Whether the model's questions are so many more than at its last training set that a new one is worth the work."""
        before = self.seen.training_set_before(model, self._plan.digest)
        if before is None or self._plan.training_growth <= 0:
            return True
        new = self._ports.questions_since(model, before.epoch, epoch)
        if new >= before.rows * self._plan.training_growth:
            return True
        _log.info(
            "training_set_not_due",
            model=model,
            epoch=epoch,
            new=new,
            last=before.rows,
            growth=self._plan.training_growth,
        )
        return False

    def _train_one(self, model: str, manifest: ViewPublished) -> None:
        published = self._ports.train(model, manifest)
        if published is None:
            _log.warning("training_set_empty", model=model, epoch=manifest.epoch)
            self.seen.decline(model, manifest.epoch, self._plan.digest)
        else:
            self._settle(published)

    def _settle(self, mine: TrainingSetPublished) -> None:
        """Publish the training set that counts, ours or another process's."""
        published = self._ports.settle_training(mine, self.seen.first_seal(mine.epoch))
        self.learn(to_end=True)
        if not self.seen.is_trained(published):
            self._publish(published, published.model)
        without = f"no table of the training set of {published.model} for epoch {published.epoch}"
        self._aside(lambda: self._ports.tabulate(published), without)
        _tell_published(published)

    def _publish_all(self, manifests: list[ViewPublished]) -> None:
        """What another process has published meanwhile is not published again."""
        self.learn(to_end=True)
        for manifest in manifests:
            if (manifest.view, manifest.epoch) not in self.seen.published:
                self._publish(manifest, manifest.view)

    def _publish(self, event: Event, key: str) -> None:
        """Publish and read it back, so that what this process knows is what the next one would know."""
        self._ports.publish(event, key)
        self.learn(to_end=True)

    def _timed(self, phase: str, work: Callable[[], object]) -> None:
        started = time.monotonic()
        work()
        self._ports.observe(phase, time.monotonic() - started)


def _tell_published(published: TrainingSetPublished) -> None:
    _log.info(
        "training_set_published",
        model=published.model,
        epoch=published.epoch,
        rows=published.rows,
        digest=published.digest[:12],
    )
