"""A shell that holds everything which ever broke a mesh, all at once."""

from __future__ import annotations

import os
from pathlib import Path

NOWHERE = "/nonexistent"
DEAD = "http://127.0.0.1:9"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
PATHS = (
    "SPARK_HOME",
    "SPARK_CONF_DIR",
    "SPARK_LOCAL_DIRS",
    "SPARK_DIST_CLASSPATH",
    "PYSPARK_PYTHON",
    "PYSPARK_DRIVER_PYTHON",
    "JAVA_HOME",
    "CLASSPATH",
    "HADOOP_HOME",
    "HADOOP_CONF_DIR",
    "HIVE_HOME",
    "HIVE_CONF_DIR",
    "KAFKA_HOME",
    "RAY_TMPDIR",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CA_BUNDLE",
    "AWS_DATA_PATH",
    "REQUESTS_CA_BUNDLE",
    "HOME",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "NUMBA_CACHE_DIR",
    "PYTHONSTARTUP",
)
VALUES = {
    "NO_PROXY": "example.com",
    "no_proxy": "example.com",
    "AWS_PROFILE": "nowhere",
    "AWS_DEFAULT_PROFILE": "nowhere",
    "AWS_ENDPOINT_URL": DEAD,
    "AWS_ENDPOINT_URL_S3": DEAD,
    "AWS_REGION": "mars-1",
    "AWS_DEFAULT_REGION": "mars-1",
    "AWS_ACCESS_KEY_ID": "foreign",
    "AWS_SECRET_ACCESS_KEY": "foreign-secret",
    "AWS_SESSION_TOKEN": "foreign-token",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_USE_DUALSTACK_ENDPOINT": "true",
    "AWS_MAX_ATTEMPTS": "many",
    "AWS_DEFAULTS_MODE": "none",
    "SPARK_LOCAL_IP": "192.0.2.1",
    "SPARK_MASTER": "spark://nowhere:7077",
    "PYSPARK_SUBMIT_ARGS": "--master spark://nowhere:7077 pyspark-shell",
    "JAVA_TOOL_OPTIONS": "-XX:+NoSuchOption",
    "_JAVA_OPTIONS": "-XX:+NoSuchOption",
    "JDK_JAVA_OPTIONS": "-XX:+NoSuchOption",
    "HADOOP_OPTS": "-XX:+NoSuchOption",
    "HADOOP_USER_NAME": "somebody",
    "KAFKA_OPTS": "-XX:+NoSuchOption",
    "KAFKA_HEAP_OPTS": "-Xmx1m",
    "RAY_ADDRESS": "192.0.2.1:6379",
    "TZ": "Pacific/Chatham",
    "LANG": "tr_TR.ISO8859-9",
    "LC_ALL": "C",
    "PYTHONIOENCODING": "ascii",
    "PYTHONOPTIMIZE": "2",
    "PYTHONWARNINGS": "error",
    "OMP_NUM_THREADS": "none",
    "MALLOC_ARENA_MAX": "none",
}
FOREIGN = ("msgspec", "numpy", "boto3", "schemas", "pyspark")
"""Modules of the same name in the current folder and on PYTHONPATH."""


def hostile_shell(folder: Path) -> dict[str, str]:
    """Its environment; `folder` gets modules that end who imports them."""
    for name in FOREIGN:
        (folder / f"{name}.py").write_text("raise SystemExit(f'{__name__} of another')")
    proxies = dict.fromkeys(PROXIES, DEAD)
    paths = dict.fromkeys(PATHS, NOWHERE)
    return {"PATH": os.environ["PATH"], **proxies, **paths, **VALUES, "PYTHONPATH": str(folder)}
