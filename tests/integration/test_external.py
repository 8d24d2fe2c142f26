"""Engines that run elsewhere, with a Kafka that takes known users only:
the same commands, and nothing but services is started.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.mesh import EmbeddedMesh
from deploy.local.ports import HOST, any_free
from examples.shop.data import month
from tests.e2e.shop import ENV, PIPELINE

NAME, PASSWORD = "twin", "stream=2"
SERVICES = ("ingest", "speed", "view", "batch", "predict")
VISITS = 200
SECURED = """\
listeners=PLAINTEXT://{plain},SASL_PLAINTEXT://{secured},CONTROLLER://{controller}
advertised.listeners=PLAINTEXT://{plain},SASL_PLAINTEXT://{secured}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_{name}="{password}";
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What a user sets to reach engines that run already."""
    folder = tmp_path_factory.mktemp("elsewhere")
    engines, secured = EmbeddedMesh(folder), f"{HOST}:{any_free(set())}"
    controller = f"{HOST}:{json.loads((folder / 'ports.json').read_text())['controller']}"
    with (folder / "kafka" / "server.properties").open(
        "a"
    ) as properties:  # of two lines for one property the later one counts
        properties.write(
            SECURED.format(
                plain=engines.settings.kafka,
                secured=secured,
                controller=controller,
                name=NAME,
                password=PASSWORD,
            )
        )
    with engines:
        yield {
            **os.environ,
            **ENV,
            "TWINSTREAM_EXTERNAL": "1",
            "TWINSTREAM_SERVICES": ",".join(SERVICES),
            "TWINSTREAM_KAFKA": secured,
            "TWINSTREAM_KAFKA_OPTIONS": f"security.protocol=SASL_PLAINTEXT;sasl.mechanism=PLAIN;sasl.username={NAME};sasl.password={PASSWORD}",
            "TWINSTREAM_S3_ENDPOINT": engines.settings.s3_endpoint,
            "TWINSTREAM_HIVE": engines.settings.hive,
            "AWS_ACCESS_KEY_ID": engines.settings.access_key,
            "AWS_SECRET_ACCESS_KEY": engines.settings.secret_key,
        }


def test_the_same_commands_work_on_engines_that_run_elsewhere(
    elsewhere: dict[str, str], tmp_path: Path
) -> None:
    data = tmp_path / "data"

    def twinstream(*words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "twinstream.cli.main", *words, "--data", str(data)],
            env=elsewhere,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else None

    lines = tmp_path / "visits.jsonl"
    lines.write_text(
        "".join(
            json.dumps({**visit, "shopper": "one"}) + "\n"
            for visit in month(3, time.time_ns() // 1000, visits=VISITS)[0]
        )
    )
    status = twinstream("up", "--pipeline", str(PIPELINE), "--detach", "--json")
    try:
        assert {name for name, service in status["services"].items() if service["pid"]} == set(
            SERVICES
        )
        assert (data / "run" / "mesh.json").stat().st_mode & 0o077 == 0
        twinstream("send", "visits", str(lines))
        twinstream("seal", "--wait")
        position = twinstream("send", "visits", str(lines))  # once more: none counts twice
        answer = _asked(
            f"{status['addresses']['predict']}/v1/views/by-shopper",
            key="one",
            min_position=json.dumps(position),
        )
        assert (answer["features"]["visits_all"], answer["position"]["epoch"]) == (VISITS, 1)
        assert {"kafka", "s3", "hive", *SERVICES} <= twinstream("status", "--json")[
            "services"
        ].keys()
    finally:
        twinstream("down")
    assert not (data / "kafka").exists()


def _asked(url: str, **parameters: str) -> Any:
    with urllib.request.urlopen(
        f"{url}?{urllib.parse.urlencode(parameters)}", timeout=30
    ) as answer:
        return json.load(answer)
