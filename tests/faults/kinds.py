"""The faults: each acts on the arena with the run's dice and says what it did."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from random import Random

from tests.faults.arena import ALWAYS, SECOND, Arena
from twinstream.errors import NotRunningError
from twinstream.mesh.object_store import split_uri

Fault = Callable[[Arena, Random], str]
TARGETS = {
    "ingest": 24,
    "speed": 26,
    "view": 26,
    "predict": 8,
    "batch": 10,
    "ingest-http": 3,
    "s3": 2,
    "hive": 1,
}
CORRUPT = ("a bit flipped", "cut in half", "emptied")
REFUSED_S = 60.0


def kill_one(arena: Arena, dice: Random) -> str:
    """kill -9 of one process; of the batch layer in whichever phase it is."""
    name = dice.choices(list(TARGETS), weights=list(TARGETS.values()))[0]
    beat = arena.beat("batch") if name == "batch" else None
    hit = arena.kill(name)
    return hit and hit + (f", batch was in: {beat.detail.get('doing', '?')}" if beat else "")


def kill_some(arena: Arena, dice: Random) -> str:
    """kill -9 of two or three at the same moment."""
    hit = [
        arena.kill(name)
        for name in dice.sample(("ingest", "speed", "view", "predict"), dice.choice((2, 2, 3)))
    ]
    return ", ".join(name for name in hit if name)


def kill_all(arena: Arena, _: Random) -> str:
    """kill -9 of every service at the same moment."""
    return ", ".join(hit for name in ALWAYS if (hit := arena.kill(name)))


def kill_broker(arena: Arena, dice: Random) -> str:
    """kill -9 of Kafka, sometimes with a service."""
    hit = [
        arena.kill("kafka"),
        arena.kill(dice.choice(("ingest", "speed", "view"))) if dice.random() < 0.3 else "",
    ]
    return ", ".join(name for name in hit if name)


def stop_and_go(arena: Arena, dice: Random) -> str:
    """SIGSTOP, SIGCONT after some seconds; now and then after longer than a group's patience."""
    name = dice.choice(
        ("ingest", "speed", "view", "predict", "kafka", *(n for n in SECOND if _runs(arena, n)))
    )
    seconds = dice.choice((0.5, 2.0, 5.0, 9.0) if name != "kafka" else (0.5, 2.0, 9.0, 40.0))
    try:
        pid = arena.mesh.kill(name, signal.SIGSTOP)
    except NotRunningError:
        return ""
    time.sleep(seconds)
    if arena.mesh.child(name).pid == pid:
        arena.mesh.kill(name, signal.SIGCONT)
    return f"{name} for {seconds} s"


def second_worker(arena: Arena, dice: Random) -> str:
    """A second worker joins, or one that is there leaves, politely or not."""
    name = dice.choice([n for n in SECOND if n in arena.mesh.supervisor.children] or [""])
    if not name:
        return ""
    if not arena.mesh.child(name).wanted:
        arena.mesh.supervisor.ask(arena.mesh.child(name).start_at_once)
        return f"{name} joins"
    rude = dice.random() < 0.5
    if rude:
        arena.kill(name)
    arena.mesh.stop_one(name)
    return f"{name} leaves{', killed' if rude else ''}"


def overlap(arena: Arena, dice: Random) -> str:
    """A worker is stopped for so long that another takes its partitions over, and then goes on."""
    name = dice.choice(("ingest", "speed", "view"))
    if f"{name}@2" not in arena.mesh.supervisor.children:
        return ""
    if not arena.mesh.child(f"{name}@2").wanted:
        arena.mesh.start_one(f"{name}@2", 300)
    try:
        pid = arena.mesh.kill(name, signal.SIGSTOP)
    except NotRunningError:
        return ""
    time.sleep(dice.uniform(7.0, 14.0))
    if arena.mesh.child(name).pid == pid:
        arena.mesh.kill(name, signal.SIGCONT)
    return f"{name} stopped, {name}@2 takes over, {name} goes on"


def seal(arena: Arena, dice: Random) -> str:
    """The end of an epoch is asked for, often with files just announced."""
    files = [
        arena.feeder.publish_file(arena.store, arena.events)
        for _ in range(dice.choice((0, 1, 1, 2)))
    ]
    arena.seal()
    return f"epoch after {arena.landed()}" + (f", {len(files)} files" if files else "")


def kill_while_sealing(arena: Arena, dice: Random) -> str:
    """kill -9 of the batch layer, or another, some moments after the end of an epoch was asked
    for.
    """
    arena.seal()
    time.sleep(dice.uniform(0.0, 12.0))
    name = dice.choices(("batch", "ingest", "view"), weights=(6, 2, 2))[0]
    beat = arena.beat("batch")
    hit = arena.kill(name)
    return hit and f"{hit}, batch was in: {beat.detail.get('doing', '?') if beat else '?'}"


def delete_store(arena: Arena, dice: Random) -> str:
    """The data of one view partition, or of all, is deleted while the view is stopped."""
    everything = dice.random() < 0.2
    wanted = [name for name in ("view", "view@2") if _runs(arena, name)]
    for name in wanted:
        arena.mesh.stop_one(name)
    view, partition = dice.choice(arena.views), dice.randrange(arena.mesh.settings.partitions)
    for folder in arena.disk.iterdir() if everything else [arena.disk / view / str(partition)]:
        shutil.rmtree(folder, ignore_errors=True)
    for name in wanted:
        arena.mesh.supervisor.ask(arena.mesh.child(name).start_at_once)
    return "all of them" if everything else f"{view}/{partition}"


def corrupt_base(arena: Arena, dice: Random) -> str:
    """A base file on S3 is not what was published, while a view has lost its own copy;
    then it is put right again.
    """
    view, partition = dice.choice(arena.views), dice.randrange(arena.mesh.settings.partitions)
    events = arena.published(view)
    if not events:
        return ""
    ref = next(file for file in events[-1].files if file.partition == partition)
    bucket, key = split_uri(ref.uri)
    right, how = arena.store.get(bucket, key), dice.choice(CORRUPT)
    arena.mesh.stop_one("view")
    arena.store.put(bucket, key, corrupted(right, how, dice))
    shutil.rmtree(arena.disk / view / str(partition), ignore_errors=True)
    arena.mesh.supervisor.ask(arena.mesh.child("view").start_at_once)
    begun = time.monotonic()
    while time.monotonic() - begun < REFUSED_S and not _refusals(arena):
        time.sleep(0.1)
    told = "refused" if _refusals(arena) else "not noticed in time"
    if dice.random() < 0.3:
        arena.seal()  # the batch layer must not build on it either
        time.sleep(dice.uniform(2.0, 8.0))
    arena.store.put(bucket, key, right)
    return f"{view}/{partition} of epoch {events[-1].epoch} {how}, {told}, restored"


def corrupted(data: bytes, how: str, dice: Random) -> bytes:
    """The same bytes, but not quite."""
    if how == "emptied":
        return b""
    if how == "cut in half":
        return data[: len(data) // 2]
    at = dice.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << dice.randrange(8))]) + data[at + 1 :]


def disk_full(arena: Arena, dice: Random) -> str:
    """The disk of the views is full for some seconds."""
    if not arena.has_small_disk:
        return ""
    filler = arena.disk / "filler"
    free = os.statvfs(arena.disk)
    with filler.open("wb") as file:
        os.posix_fallocate(
            file.fileno(),
            0,
            max(1, free.f_bavail * free.f_frsize - dice.choice((0, 1 << 20, 20 << 20))),
        )
    before = arena.mesh.log("view").count("disk_full")
    arena.feeder.send(200)
    time.sleep(dice.uniform(1.0, 6.0))
    filler.unlink()
    return f"the view ended for it {arena.mesh.log('view').count('disk_full') - before} times"


def _runs(arena: Arena, name: str) -> bool:
    child = arena.mesh.supervisor.children.get(name)
    return child is not None and child.wanted


def _refusals(arena: Arena) -> bool:
    return any(
        (beat := arena.beat(name)) is not None
        and beat.pid == arena.mesh.child(name).pid
        and beat.detail.get("refused")
        for name in ("view", "view@2")
        if name in arena.mesh.supervisor.children
    )


WEIGHTS: dict[Fault, float] = {
    kill_one: 44,
    kill_some: 14,
    kill_all: 4,
    kill_broker: 3,
    kill_while_sealing: 7,
    stop_and_go: 8,
    second_worker: 7,
    overlap: 3,
    seal: 8,
    delete_store: 3,
    corrupt_base: 5,
    disk_full: 3,
}
