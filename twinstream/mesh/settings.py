"""Settings of one mesh, read once per process from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from twinstream.errors import SettingsError
from twinstream.mesh import kafka_security
from twinstream.mesh.kafka_security import KafkaSecurity


class MeshSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the parts of a mesh are; every process of it gets the same."""

    pipeline: str
    """Path of the definition file."""
    data: str = ".twinstream/data"
    """Folder of what this mesh keeps on this host."""
    kafka: str = "127.0.0.1:9092"
    """Bootstrap servers, comma separated."""
    kafka_options: str = ""
    """More librdkafka options, `name=value` separated by ';'; those of security hold for Faust and
    Spark as well: see `kafka_security`.
    """
    s3_endpoint: str = ""
    """URL of the S3 service; "" means AWS."""
    bucket: str = "twinstream-warehouse"
    """Bucket of history, batch views and training sets; NOT versioned, every path is written
    once.
    """
    raw_bucket: str = "twinstream-raw"
    """Versioned bucket of users' files."""
    model_bucket: str = "twinstream-models"
    """Versioned bucket of models."""
    hive: str = ""
    """Thrift URI of the Hive metastore."""
    partitions: int = 2
    """Partitions of each raw, log and partials topic."""
    carrier: Literal["faust", "confluent"] = "faust"
    """What carries messages to the speed and view workers; all workers of a mesh have the same."""
    clock: Literal["wall", "replay"] = "wall"
    """With "replay" a record becomes known at the timestamp of its raw Kafka message."""
    http_host: str = "127.0.0.1"
    """Address that the HTTP services bind."""
    http_hosts: str = ""
    """Names under which the HTTP services may be asked, comma separated, `*` for any; "":
    loopback's own, or any where they bind another address.
    """
    ingest_port: int = 8081
    """Port of ingest over HTTP."""
    predict_port: int = 8082
    """Port of the predictor."""
    monitor_port: int = 8083
    """Port of the dashboard."""
    seal_every_s: float = 0.0
    """Seconds between seals of an epoch; 0 means on demand only."""
    seal_after_files: int = 0
    """Accepted files after which an epoch is sealed; 0 means never for this reason."""
    spark_master: str = "local[2]"
    """Address of Spark's master; `local[n]`: in the batch process, with n threads."""
    ray_address: str = ""
    """Address of a Ray cluster; "" means in process."""
    access_key: str = ""
    """S3 key; "" leaves it to the standard credential chain."""
    secret_key: str = ""
    """Second part of an S3 key."""
    session_token: str = ""
    """Third part of a temporary S3 key."""
    region: str = "us-east-1"
    """Region of the S3 service."""
    instance: str = ""
    """Which of several workers of one service this process is; "" for the first."""
    external: bool = False
    """True: Kafka, S3 and Hive run elsewhere and none is started here."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> MeshSettings:
        """Settings from environment variables; raises SettingsError naming the variable that is
        missing or wrong.
        """
        env = os.environ if env is None else env
        given = {field: env[name] for field, name in ENVIRONMENT.items() if env.get(name, "") != ""}
        if "pipeline" not in given:
            raise SettingsError(
                "TWINSTREAM_PIPELINE is not set: give the path of your definition file"
            )
        try:
            settings = msgspec.convert(given, cls, strict=False)
        except msgspec.ValidationError as error:
            raise SettingsError(f"{_name_in(str(error))}: {error}") from error
        settings.kafka_security()
        return settings

    def to_env(self) -> dict[str, str]:
        """The environment variables that give these settings again."""
        return {name: _text(getattr(self, field)) for field, name in ENVIRONMENT.items()}

    def run_folder(self) -> Path:
        """Folder of heartbeats and process records; made when missing."""
        folder = Path(self.data) / "run"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def kafka_security(self) -> KafkaSecurity:
        """What `kafka_options` say of it; raises SettingsError for what not all clients can do."""
        return kafka_security.of(pairs(self.kafka_options))

    def kafka_client(self, **more: object) -> dict[str, object]:
        """Options of a librdkafka client: bootstrap, `kafka_options`, and `more` with '_' for '.'
        (but `log_level`, `*_cb`).
        """
        return {
            "bootstrap.servers": self.kafka,
            **pairs(self.kafka_options),
            **{_librdkafka(k): v for k, v in more.items()},
        }


ENVIRONMENT: dict[str, str] = {
    "pipeline": "TWINSTREAM_PIPELINE",
    "data": "TWINSTREAM_DATA",
    "kafka": "TWINSTREAM_KAFKA",
    "kafka_options": "TWINSTREAM_KAFKA_OPTIONS",
    "s3_endpoint": "TWINSTREAM_S3_ENDPOINT",
    "bucket": "TWINSTREAM_S3_BUCKET",
    "raw_bucket": "TWINSTREAM_S3_RAW_BUCKET",
    "model_bucket": "TWINSTREAM_S3_MODEL_BUCKET",
    "hive": "TWINSTREAM_HIVE",
    "partitions": "TWINSTREAM_PARTITIONS",
    "carrier": "TWINSTREAM_CARRIER",
    "clock": "TWINSTREAM_CLOCK",
    "http_host": "TWINSTREAM_HTTP_HOST",
    "http_hosts": "TWINSTREAM_HTTP_HOSTS",
    "ingest_port": "TWINSTREAM_INGEST_PORT",
    "predict_port": "TWINSTREAM_PREDICT_PORT",
    "monitor_port": "TWINSTREAM_MONITOR_PORT",
    "seal_every_s": "TWINSTREAM_SEAL_EVERY_S",
    "seal_after_files": "TWINSTREAM_SEAL_AFTER_FILES",
    "spark_master": "TWINSTREAM_SPARK_MASTER",
    "ray_address": "TWINSTREAM_RAY_ADDRESS",
    "access_key": "AWS_ACCESS_KEY_ID",
    "secret_key": "AWS_SECRET_ACCESS_KEY",
    "session_token": "AWS_SESSION_TOKEN",
    "region": "AWS_REGION",
    "instance": "TWINSTREAM_INSTANCE",
    "external": "TWINSTREAM_EXTERNAL",
}


def pairs(text: str) -> dict[str, str]:
    """`a=1;b=2` as a mapping."""
    return dict(pair.split("=", 1) for pair in text.split(";") if "=" in pair)


def _librdkafka(name: str) -> str:
    return name if name == "log_level" or name.endswith("_cb") else name.replace("_", ".")


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _name_in(message: str) -> str:
    """The variable that a validation message like `... - at `$.partitions`` is about."""
    field = message.rsplit("$.", 1)[-1].strip("`")
    return ENVIRONMENT.get(field, field)
