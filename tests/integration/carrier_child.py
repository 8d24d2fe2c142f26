"""A process whose worker writes down what its carrier does; told what to do line by line."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Mapping
from types import SimpleNamespace
from typing import Any

import msgspec

from twinstream.errors import MessageRefusedError
from twinstream.mesh import carrying
from twinstream.mesh.carrier import CarriedMessage, Carrier, TopicPartition, WorkerOptions
from twinstream.mesh.carriers import carrier_of
from twinstream.mesh.settings import MeshSettings


class Told(msgspec.Struct):
    """What a child is begun with. `later`: partitions that are sought only when it is said."""

    kafka: str
    data: str
    carrier: str
    name: str
    instance: str
    topic: str
    starts: dict[int, int] = {}
    later: list[int] = []
    fails_at: int = -1


class Recorder:
    """A worker that counts."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self.carrier: Carrier
        self.next: dict[TopicPartition, int] = {}

    async def start_offsets(self, partitions: set[TopicPartition]) -> Mapping[TopicPartition, int]:
        self.next = {tp: offset for tp, offset in self.next.items() if tp in partitions}
        for tp in partitions - self.next.keys():
            if tp.partition not in self._told.later:
                self.next[tp] = self._told.starts.get(tp.partition, 0)
        say(assigned=sorted(tp.partition for tp in partitions))
        return dict(self.next)

    async def handle(self, message: CarriedMessage) -> None:
        tp = TopicPartition(message.topic, message.partition)
        if self.next.get(tp) != message.offset:
            return
        if message.offset == self._told.fails_at:
            say(failing=[message.partition, message.offset])
            raise ZeroDivisionError(message.offset)
        self.next[tp] += 1
        say(handled=[message.partition, message.offset, bytes(message.value).decode()])

    def next_offsets(self) -> Mapping[TopicPartition, int]:
        return dict(self.next)

    async def obey(self) -> None:
        """Does what comes on standard input."""
        lines: asyncio.Queue[bytes] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def read() -> None:
            for line in sys.stdin.buffer:
                loop.call_soon_threadsafe(lines.put_nowait, line)

        threading.Thread(target=read, daemon=True).start()
        while True:
            name, value = msgspec.json.decode(await lines.get())
            await getattr(self, f"do_{name}")(value)

    async def do_seek(self, offsets: dict[str, int]) -> None:
        positions = {TopicPartition(self._told.topic, int(p)): o for p, o in offsets.items()}
        self.next |= positions
        await self.carrier.seek(positions)
        say(sought=offsets)

    async def do_send(self, values: list[str]) -> None:
        answers: list[Awaitable[object]] = [
            await self.carrier.send(self._told.topic, 0, value.encode()) for value in values
        ]
        for answer in answers:
            await answer
        while self.carrier.unconfirmed:  # noqa: ASYNC110  (counted soon after, by callbacks)
            await asyncio.sleep(0.01)
        say(sent=len(values), unconfirmed=self.carrier.unconfirmed)

    async def do_too_large(self, size: int) -> None:
        try:
            await self.carrier.send(self._told.topic, 0, bytes(size))
        except MessageRefusedError as error:
            say(refused=str(error))

    async def do_ends(self, _: object) -> None:
        place = TopicPartition(self._told.topic, 0)
        first = await self.carrier.earliest_offsets(place)
        say(first=first[place], highwater=self.carrier.highwater(place))


def say(**what: Any) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(what) + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    told = msgspec.json.decode(sys.argv[1], type=Told)
    loop = carrying.event_loop()
    settings = MeshSettings(
        pipeline="none",
        data=told.data,
        kafka=told.kafka,
        carrier=told.carrier,  # type: ignore[arg-type]
    )
    recorder = Recorder(told)
    options = WorkerOptions(name=told.name, topics=(told.topic,), instance=told.instance)
    recorder.carrier = carrier_of(settings, options, recorder)
    process: Any = SimpleNamespace(
        settings=settings,
        ending=SimpleNamespace(on_stop=lambda _: None),
        reach=SimpleNamespace(away=""),
    )
    carrying.run(process, recorder.carrier, lambda lag: say(lag=lag), [recorder.obey], loop)


if __name__ == "__main__":
    main()
