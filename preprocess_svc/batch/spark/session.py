"""The Spark session: jars, S3A with the magic committer, the Hive metastore, and Python workers
that find this code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pyspark
from pyspark import SparkContext
from pyspark.sql import SparkSession

from preprocess_svc.batch.settings import BatchSettings
from twinstream.mesh.files import scratch, write_whole
from twinstream.mesh.settings import MeshSettings, pairs

ARROW_ROWS = 131_072
ARROW_BYTES = 64 * 1024 * 1024


def create(
    mesh: MeshSettings,
    knobs: BatchSettings,
    name: str = "twinstream-batch",
) -> SparkSession:
    """Start Spark, or take the running session; 6-12 s. Its temporary files lie below the data
    folder of `mesh`, which is one process's alone; `name`: as a cluster's pages show it.
    """
    options = _engine(mesh, knobs) | _s3(mesh) | _hive(mesh) | pairs(knobs.spark_options)
    _start_jvm(mesh, options)
    builder = SparkSession.builder.appName(name).master(mesh.spark_master)
    for option, value in options.items():
        builder = builder.config(option, value)
    session = builder.enableHiveSupport().getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def _start_jvm(mesh: MeshSettings, options: dict[str, str]) -> None:
    """Start the JVM first, unless it runs: the options of a session that starts it are on its
    command line, S3's secret among them.
    """
    environment = spark_environment(os.environ, mesh)
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ |= environment
    folder = Path(environment["SPARK_CONF_DIR"])
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(folder / "spark-defaults.conf", at_start(options).encode(), 0o600)
    # the public way to start it takes all options
    SparkContext._ensure_initialized()  # noqa: SLF001


FOREIGN = (
    "SPARK_",
    "PYSPARK_",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "CLASSPATH",
    "AWS_",
)
"""Beginnings of what another Spark, or another Java, goes by."""
ALWAYS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.adaptive.coalescePartitions.parallelismFirst": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.maxRecordsPerBatch": str(ARROW_ROWS),
    "spark.sql.execution.arrow.maxBytesPerBatch": str(ARROW_BYTES),
    "spark.python.worker.reuse": "true",
    "spark.sql.execution.pyspark.udf.faulthandler.enabled": "true",
    "spark.scheduler.mode": "FAIR",
    "spark.cleaner.periodicGC.interval": "5min",
}
S3A = {
    "impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
    "committer.name": "magic",
    "committer.magic.enabled": "true",
    "fast.upload.buffer": "bytebuffer",
    "connection.maximum": "64",
}
COMMITTERS = {
    "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
    "spark.hadoop.mapreduce.outputcommitter.factory.scheme.s3a": (
        "org.apache.hadoop.fs.s3a.commit.S3ACommitterFactory"
    ),
    "spark.sql.sources.commitProtocolClass": (
        "org.apache.spark.internal.io.cloud.PathOutputCommitProtocol"
    ),
    "spark.sql.parquet.output.committer.class": (
        "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter"
    ),
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
}


def spark_environment(shell: Mapping[str, str], mesh: MeshSettings) -> dict[str, str]:
    """The environment of our own Spark: another one's home, configuration, options and Python have
    no say.
    """
    kept = {name: value for name, value in shell.items() if not name.startswith(FOREIGN)}
    own = {
        "SPARK_HOME": str(Path(pyspark.__file__).parent),
        "SPARK_CONF_DIR": str(Path(mesh.data).absolute() / "spark" / "conf"),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }
    if mesh.spark_master.startswith("local"):
        own["SPARK_LOCAL_IP"] = "127.0.0.1"
    return kept | _aws(shell, mesh) | own


def _aws(shell: Mapping[str, str], mesh: MeshSettings) -> dict[str, str]:
    """The keys of the settings alone; without any, the standard chain of AWS."""
    if not mesh.access_key:
        return {name: value for name, value in shell.items() if name.startswith("AWS_") and value}
    keys = {
        "AWS_ACCESS_KEY_ID": mesh.access_key,
        "AWS_SECRET_ACCESS_KEY": mesh.secret_key,
        "AWS_SESSION_TOKEN": mesh.session_token,
    }
    return {name: value for name, value in keys.items() if value}


def at_start(options: Mapping[str, str]) -> str:
    """spark-defaults.conf with what the JVM has to know when it starts, as a Java properties file
    in UTF-8.
    """
    needed = {name: value for name, value in options.items() if name.startswith("spark.driver.")}
    return "".join(f"{name} {_escaped(value)}\n" for name, value in needed.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")


def _engine(mesh: MeshSettings, knobs: BatchSettings) -> dict[str, str]:
    work = scratch(Path(mesh.data) / "spark")
    local = mesh.spark_master.startswith("local")
    here = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    return {
        **ALWAYS,
        "spark.driver.memory": knobs.driver_memory,
        "spark.driver.extraJavaOptions": (
            f'{knobs.jvm_options} -XX:-UsePerfData "-Dderby.system.home={work}" '
            f'"-Djava.io.tmpdir={work}"'
        ),
        "spark.local.dir": str(work),
        "spark.sql.shuffle.partitions": str(knobs.shuffle_partitions),
        "spark.executorEnv.PYTHONPATH": _python_path(),
        **(here if local else {}),
        **_jars(knobs, local=local),
    }


def _python_path() -> str:
    code = str(Path(__file__).parents[3])
    return os.pathsep.join(p for p in (code, os.environ.get("PYTHONPATH", "")) if p)


def _jars(knobs: BatchSettings, *, local: bool) -> dict[str, str]:
    if not knobs.jars:
        return {}
    jars = sorted(str(path) for path in Path(knobs.jars).glob("*.jar"))
    if local:
        return {"spark.driver.extraClassPath": os.pathsep.join(jars)}
    return {"spark.jars": ",".join(jars)}


def _s3(mesh: MeshSettings) -> dict[str, str]:
    s3a = {**S3A, "endpoint.region": mesh.region}
    if mesh.s3_endpoint:
        s3a |= {
            "endpoint": mesh.s3_endpoint,
            "path.style.access": "true",
            "connection.ssl.enabled": str(mesh.s3_endpoint.startswith("https")).lower(),
        }
    if mesh.access_key:
        s3a |= {"access.key": mesh.access_key, "secret.key": mesh.secret_key}
    if mesh.session_token:
        s3a["session.token"] = mesh.session_token
    return {f"spark.hadoop.fs.s3a.{name}": value for name, value in s3a.items()} | COMMITTERS


def _hive(mesh: MeshSettings) -> dict[str, str]:
    options = {
        "spark.sql.catalogImplementation": "hive",
        # the metastore cannot parse a filter on a name that begins with "_"
        "spark.sql.hive.metastorePartitionPruning": "false",
        "spark.sql.warehouse.dir": f"s3a://{mesh.bucket}/warehouse",
    }
    return options | ({"spark.hadoop.hive.metastore.uris": mesh.hive} if mesh.hive else {})
