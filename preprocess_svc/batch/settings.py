"""Knobs of the batch layer alone; where the mesh is stands in `MeshSettings`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec

from twinstream.mesh.knobs import Knobs


class BatchSettings(Knobs, frozen=True, kw_only=True):
    """Read from `TWINSTREAM_BATCH_<KNOB>`; the folder of jars also from `TWINSTREAM_SPARK_JARS`."""

    PREFIX: ClassVar[str] = "TWINSTREAM_BATCH_"
    ELSE: ClassVar[Mapping[str, str]] = {"jars": "TWINSTREAM_SPARK_JARS"}

    jars: str = ""
    """Folder of the jars that Spark needs to read Kafka and S3; "":
    they are on its class path already.
    """
    driver_memory: str = "1500m"
    """Heap of the Spark driver; with a local master also of the executor."""
    jvm_options: str = "-XX:+UseParallelGC -XX:TieredStopAtLevel=1"
    """Options of the driver's JVM.

    The quick compiler alone halves the CPU of small epochs; leave it out for tens of millions of
    rows.
    """
    shuffle_partitions: int = 4
    """Tasks of a shuffle; on a cluster two or three for each core."""
    nice: int = 10
    """Added to the scheduling niceness, so that live records go first where they share cores with a
    fold.
    """
    lease_s: Annotated[float, msgspec.Meta(ge=3.0)] = 30.0
    """Silence of the batch process at work after which another one, that waits, goes on in its
    place; at least 3. One that ends as asked is followed at once.
    """
    keep_epochs: Annotated[int, msgspec.Meta(ge=2)] = 3
    """Batch views and training sets of so many newest epochs stay on S3, at least two;
    older ones are deleted.
    """
    keep_trained: Annotated[int, msgspec.Meta(ge=1)] = 10
    """Besides these, training sets stay of so many models that were promoted last, of each
    definition, and of candidates that are asked beside them.
    """
    file_memory_bytes: Annotated[int, msgspec.Meta(ge=256 << 20)] = 4 << 30
    """Memory that reading one file may take in a worker, at least 256 MiB;
    a file that needs more is left out of its epoch.
    """
    file_expanded_bytes: Annotated[int, msgspec.Meta(ge=1)] = 200_000_000_000
    """Bytes that the declared columns of one file may expand to (they lie on the worker's disk for
    a while); a larger file is left out.
    """
    rows_per_file: int = 65_536
    """Rows of one file of a training set, and of one of its sort tasks; part of its digest."""
    training_growth: float = 0.0
    """Share of new questions, of the rows of a model's last training set, from which on an epoch
    gets a new one; 0: every epoch does. After a wish for retraining the next epoch does in any
    case.
    """
    kafka_options: str = ""
    """More options of Spark's Kafka client (Java's names), `name=value` separated by ';',
    without the prefix `kafka.`.
    """
    spark_options: str = ""
    """More Spark settings, `spark.name=value` separated by ';'."""
