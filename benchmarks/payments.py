"""Payments of about 150 bytes as JSON, seeded; sent to the raw topic by a process of its own."""

from __future__ import annotations

import random
import sys
import time

from confluent_kafka import Producer

from schemas.topics import PARTITIONER, record_sent


def payment(number: int, accounts: int, dice: random.Random, now_us: int) -> tuple[bytes, bytes]:
    """(key, value) of one payment within the last 50 minutes."""
    account = f"account-{dice.randrange(accounts):07d}"
    paid_at = now_us - dice.randrange(3_000_000_000)
    cents = dice.randrange(1, 10_000_00)
    value = (
        f'{{"payment_id": "p-{number:012d}", "account": "{account}", "paid_at": {paid_at}, '
        f'"cents": {cents // 100}.{cents % 100:02d}, "merchant": '
        f'"merchant-{dice.randrange(900):04d}"}}'
    )
    return account.encode(), value.encode()


def fill(kafka: str, n: int, accounts: int, seed: int = 7) -> None:
    """Sends n payments as fast as the broker takes them."""
    producer = Producer(
        {
            "bootstrap.servers": kafka,
            "linger.ms": 20,
            "batch.num.messages": 10_000,
            "queue.buffering.max.messages": 500_000,
            "compression.type": "lz4",
            "enable.idempotence": True,
            "partitioner": PARTITIONER,
        }
    )
    dice, topic, now_us = random.Random(seed), record_sent("payments"), time.time_ns() // 1000
    for number in range(n):
        key, value = payment(number, accounts, dice, now_us)
        while True:
            try:
                producer.produce(topic, value, key)
                break
            except BufferError:
                producer.poll(0.05)
        if number % 5_000 == 0:
            producer.poll(0)
    if producer.flush(120):
        raise RuntimeError("Kafka did not take every payment within 120 s")


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
