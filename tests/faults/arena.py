"""A running mesh of the shop example with the feeder beside it: what the faults act on."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.error
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Self

from deploy.local.mesh import EmbeddedMesh
from schemas.events import SealRequested, ViewPublished
from schemas.topics import partials_folded, records_accepted
from tests.faults.feeder import Feeder
from tests.faults.ledger import Ledger, accepted_files, covered, ends, examine, raw_ends
from twinstream.audit.compare import Audit, audit, fetch, manifests
from twinstream.errors import NotRunningError, WaitTimeoutError
from twinstream.mesh.events import EventPublisher
from twinstream.mesh.heartbeat import Beat, read_beat
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.pipeline_file import load

PIPELINE = Path(__file__).parents[2] / "examples" / "shop" / "pipeline.py"
ALWAYS = ("ingest", "ingest-http", "speed", "view", "batch", "predict")
SECOND = ("ingest@2", "speed@2", "view@2")
ENV = {
    "TWINSTREAM_VIEW_MAP_GIB": "1",
    "TWINSTREAM_VIEW_BASE_RETRY_S": "0.5",
    "TWINSTREAM_VIEW_FIRST_BASE_S": "20",
    "TWINSTREAM_BATCH_DRIVER_MEMORY": "900m",
    "TWINSTREAM_BATCH_SHUFFLE_PARTITIONS": "2",
}
SLOW = ("batch", "hive")
"""They take long to start, and no reader needs them."""
READY_S = 900.0


class Arena:
    """Mesh, feeder, and the count of kills by target. A context manager."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        rate_per_s: float,
        limit: int,
        small_disk: bool = False,
        second: bool = True,
    ) -> None:
        self.mesh = EmbeddedMesh(folder, PIPELINE, (*ALWAYS, *(SECOND if second else ())), env=ENV)
        for name in SECOND if second else ():
            self.mesh.child(name).wanted = False
        self.pipeline = load(PIPELINE)
        self.feeder = Feeder(
            self.mesh.settings, seed, rate_per_s, limit, self.mesh.addresses["ingest"]
        )
        self.kills: Counter[str] = Counter()
        self.views = [view.name for view in self.pipeline.views]
        self.disk = Path(self.mesh.settings.data) / "view"
        self._small_disk = small_disk
        self.has_small_disk = False

    def __enter__(self) -> Self:
        self.has_small_disk = self._small_disk and _mount(self.disk)
        self.mesh.start()
        try:
            self.ready()
        except BaseException:
            self.__exit__()
            raise
        self.store, self.events = (
            ObjectStore(self.mesh.settings),
            EventPublisher(self.mesh.settings, "/tests"),
        )
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.feeder.stop()
            self.mesh.stop()
        finally:
            if self.has_small_disk:
                subprocess.run(["umount", "-l", str(self.disk)], check=False)

    # -- processes
    # -----------------------------------------------------------------------------------------------------------------

    def kill(self, name: str) -> str:
        """SIGKILL; says whom it hit, "" when there was nobody."""
        try:
            pid = self.mesh.kill(name)
        except NotRunningError:
            return ""
        self.kills[name.partition("@")[0]] += 1
        self.wait(lambda: self.mesh.child(name).pid != pid, f"the end of {name} to be noticed", 30)
        return f"{name} (pid {pid})"

    def hurry(self) -> None:
        """Have ended processes started again without a pause that grows from kill to kill."""
        for child in self.mesh.supervisor.children.values():
            if child.wanted and child.pid is None:
                self.mesh.supervisor.ask(child.start_at_once)

    def ready(self, bound_s: float = READY_S, without: tuple[str, ...] = ()) -> float:
        """Wait until all that should run serves, but for some; returns the seconds it took."""
        started = time.monotonic()

        def reached() -> bool:
            self.hurry()
            if not without:
                return self.mesh.supervisor.ready
            return all(
                child.ready
                for name, child in self.mesh.supervisor.children.items()
                if child.wanted and name not in without
            )

        self.wait(reached, "the mesh ready", bound_s)
        return time.monotonic() - started

    def engines_ready(self) -> None:
        """Wait until Kafka and the object store answer again."""
        self.hurry()
        self.wait(
            lambda: all(self.mesh.child(name).ready for name in ("kafka", "s3")),
            "Kafka and S3 ready",
        )

    def beat(self, name: str) -> Beat | None:
        """What a service last said of itself."""
        return read_beat(self.mesh.settings.run_folder() / f"{name}.json")

    def wait(self, reached: Callable[[], object], what: str, bound_s: float = READY_S) -> None:
        """Poll until it is so; raises WaitTimeoutError with the state of all processes."""
        give_up = time.monotonic() + bound_s
        while not reached():
            if time.monotonic() > give_up:
                states = {
                    name: (c.state, c.ready, c.restarts)
                    for name, c in self.mesh.supervisor.children.items()
                }
                raise WaitTimeoutError(f"not within {bound_s} s: {what}; {states}")
            time.sleep(0.05)

    # -- epochs
    # --------------------------------------------------------------------------------------------------------------------

    def seal(self) -> None:
        """Wish for the end of the epoch."""
        self.events.publish(
            SealRequested(reason="fault run", requested_at_us=time.time_ns() // 1000)
        )

    def published(self, view: str) -> list[ViewPublished]:
        """All publications of a view, oldest first."""
        return sorted(manifests(self.mesh.settings, view)[1], key=lambda event: event.epoch)

    def landed(self) -> int:
        """The newest epoch that every view has published."""
        return min(
            max((event.epoch for event in self.published(view)), default=0) for view in self.views
        )

    # -- the comparison
    # ------------------------------------------------------------------------------------------------------------

    def compare(self, plain_one_in: int = 1, bound_s: float = READY_S) -> Audit:
        """Every key of every view against the oracle, while records go on to arrive."""
        give_up = time.monotonic() + bound_s
        while True:
            try:
                return audit(
                    self.mesh.settings, self.mesh.addresses["predict"], plain_one_in=plain_one_in
                )
            except (NotRunningError, OSError) as error:  # not ready in this moment
                if time.monotonic() > give_up:
                    raise WaitTimeoutError(
                        f"the views could not be read within {bound_s} s: {error}"
                    ) from error
                self.ready(without=SLOW)
                time.sleep(0.5)

    def quiesce(self, bound_s: float = READY_S) -> None:
        """Stop feeding, and wait until every view stands at the end of its log, and the log at the
        end of the raw topic.
        """
        self.feeder.pause()
        self.ready()
        names = [source.name for source in self.pipeline.sources]
        self.wait(
            lambda: all(
                covered(self.mesh.settings, s) == raw_ends(self.mesh.settings, s) for s in names
            ),
            "all raw records in the log",
            bound_s,
        )
        self.wait(
            lambda: all(self._at_end(view) for view in self.views),
            "the views at the end of the log",
            bound_s,
        )
        self.wait(
            lambda: accepted_files(self.mesh.settings).keys() >= set(self.feeder.files),
            "all files accepted",
            bound_s,
        )

    def examine(self) -> Ledger:
        """What became of every raw record."""
        return examine(self.mesh.settings, self.pipeline, self.feeder)

    def _at_end(self, view: str) -> bool:
        settings = self.mesh.settings
        wanted = {
            p: end - 1
            for p, end in ends(
                settings, records_accepted(self.pipeline.view(view).source.name)
            ).items()
            if end
        }
        try:
            return all(
                (served := fetch(self.mesh.addresses["predict"], view, q).log)
                and all(served.get(p, -1) >= end for p, end in wanted.items())
                for q in range(settings.partitions)
            )
        except (urllib.error.URLError, OSError):
            return False

    def partials(self) -> int:
        """How many partials there are, of all views."""
        return sum(
            sum(ends(self.mesh.settings, partials_folded(view)).values()) for view in self.views
        )


def _mount(folder: Path) -> bool:
    """A small disk of its own for the views, where this user may make one."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        return False
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0
