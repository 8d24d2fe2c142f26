"""The largest partial there can be passes the clients as the workers configure them,
and the broker.
"""

import asyncio
import os

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from schemas.topics import data_topics, partials_folded
from twinstream.mesh.carrier import WorkerOptions
from twinstream.mesh.faust_carrier import configuration
from twinstream.mesh.settings import MeshSettings
from twinstream.mesh.topics_admin import MAX_MESSAGE_BYTES, ensure_topics

pytestmark = pytest.mark.engine


def test_the_largest_partial_passes(kafka_settings: MeshSettings, tmp_path: object) -> None:
    ensure_topics(kafka_settings, data_topics([], ["largest"]))
    used = configuration(kafka_settings, WorkerOptions(name="speed", topics=()), tmp_path)
    value = os.urandom(MAX_MESSAGE_BYTES - 1024)

    async def there_and_back() -> bytes:
        producer = AIOKafkaProducer(
            bootstrap_servers=kafka_settings.kafka,
            max_request_size=used["producer_max_request_size"],
            enable_idempotence=True,
            acks="all",
        )
        consumer = AIOKafkaConsumer(
            partials_folded("largest"),
            bootstrap_servers=kafka_settings.kafka,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=used["consumer_max_fetch_size"],
        )
        async with producer, consumer:
            await producer.send_and_wait(partials_folded("largest"), value, partition=0)
            return (await asyncio.wait_for(consumer.getone(), 60)).value

    assert asyncio.run(there_and_back()) == value
