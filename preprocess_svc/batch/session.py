"""The Spark session: jars, S3A with the magic committer, the Hive metastore, and Python workers that find this code."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pyspark.sql import SparkSession

from preprocess_svc.batch.settings import BatchSettings
from twinstream.mesh.files import scratch
from twinstream.mesh.settings import MeshSettings, pairs

ARROW_ROWS = 131_072
ARROW_BYTES = 64 * 1024 * 1024


def create(mesh: MeshSettings, knobs: BatchSettings) -> SparkSession:
    """Start Spark, or take the running session; 6-12 s."""
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    if mesh.access_key:
        os.environ |= {"AWS_ACCESS_KEY_ID": mesh.access_key, "AWS_SECRET_ACCESS_KEY": mesh.secret_key}
    if mesh.spark_master.startswith("local"):
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    builder = SparkSession.builder.appName("twinstream-batch").master(mesh.spark_master)
    for name, value in (_engine(mesh, knobs) | _s3(mesh) | _hive(mesh) | pairs(knobs.spark_options)).items():
        builder = builder.config(name, value)
    session = builder.enableHiveSupport().getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def _engine(mesh: MeshSettings, knobs: BatchSettings) -> dict[str, str]:
    code = str(Path(__file__).parents[2])
    local = mesh.spark_master.startswith("local")
    work = scratch(Path(mesh.data) / "spark")
    options = {
        "spark.driver.memory": knobs.driver_memory,
        "spark.driver.extraJavaOptions": f"{knobs.jvm_options} -XX:-UsePerfData -Dderby.system.home={work} -Djava.io.tmpdir={work}",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": str(work),
        "spark.sql.shuffle.partitions": str(knobs.shuffle_partitions),
        "spark.sql.adaptive.enabled": "true",
        "spark.sql.adaptive.coalescePartitions.parallelismFirst": "true",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(ARROW_ROWS),
        "spark.sql.execution.arrow.maxBytesPerBatch": str(ARROW_BYTES),
        "spark.executorEnv.PYTHONPATH": os.pathsep.join(p for p in (code, os.environ.get("PYTHONPATH", "")) if p),
        "spark.python.worker.reuse": "true",
        "spark.sql.execution.pyspark.udf.faulthandler.enabled": "true",
        "spark.scheduler.mode": "FAIR",
        "spark.cleaner.periodicGC.interval": "5min",
    }
    if local:
        options |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    if knobs.jars:
        jars = sorted(str(path) for path in Path(knobs.jars).glob("*.jar"))
        options |= {"spark.driver.extraClassPath": os.pathsep.join(jars)} if local else {"spark.jars": ",".join(jars)}
    return options


def _s3(mesh: MeshSettings) -> dict[str, str]:
    s3a = {
        "impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "endpoint.region": mesh.region,
        "committer.name": "magic",
        "committer.magic.enabled": "true",
        "fast.upload.buffer": "bytebuffer",
        "connection.maximum": "64",
    }
    if mesh.s3_endpoint:
        s3a |= {
            "endpoint": mesh.s3_endpoint, "path.style.access": "true",
            "connection.ssl.enabled": str(mesh.s3_endpoint.startswith("https")).lower(),
        }  # fmt: skip
    if mesh.access_key:
        s3a |= {"access.key": mesh.access_key, "secret.key": mesh.secret_key}
    return {f"spark.hadoop.fs.s3a.{name}": value for name, value in s3a.items()} | {
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "spark.hadoop.mapreduce.outputcommitter.factory.scheme.s3a": "org.apache.hadoop.fs.s3a.commit.S3ACommitterFactory",
        "spark.sql.sources.commitProtocolClass": "org.apache.spark.internal.io.cloud.PathOutputCommitProtocol",
        "spark.sql.parquet.output.committer.class": "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter",
        "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    }


def _hive(mesh: MeshSettings) -> dict[str, str]:
    options = {
        "spark.sql.catalogImplementation": "hive",
        "spark.sql.hive.metastorePartitionPruning": "false",  # the metastore cannot parse a filter on a name that begins with "_"
        "spark.sql.warehouse.dir": f"s3a://{mesh.bucket}/warehouse",
    }
    return options | ({"spark.hadoop.hive.metastore.uris": mesh.hive} if mesh.hive else {})
