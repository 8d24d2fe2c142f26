"""Writes jars.sha256 again from the few coordinates that we ask for:
`python -m deploy.local.jars_lock`.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path

from deploy.local.jars import MANIFEST, SETS, ivy_file, pyspark_jars, run_ivy
from deploy.local.java import find

AWS_SDK = "2.29.52"
WITH_DEPENDENCIES = {
    "kafka": ["org.apache.kafka:kafka_2.13:4.4.0"],
    "s3mock": [],
    "spark": [
        "org.apache.spark:spark-sql-kafka-0-10_2.13:4.1.1",
        "org.apache.spark:spark-token-provider-kafka-0-10_2.13:4.1.1",
        *(
            f"software.amazon.awssdk:{name}:{AWS_SDK}"
            for name in ("s3", "s3-transfer-manager", "sts", "apache-client", "netty-nio-client")
        ),
    ],
}
ALONE = {
    "kafka": ["org.slf4j:slf4j-simple:1.7.36"],
    "s3mock": ["com.adobe.testing:s3mock:5.2.0:exec"],
    "spark": [
        "org.apache.hadoop:hadoop-aws:3.4.2",
        "org.apache.spark:spark-hadoop-cloud_2.13:4.1.1",
        "org.wildfly.openssl:wildfly-openssl:2.1.4.Final",
    ],
}
# pyspark bridges commons-logging to its own log.
UNWANTED = {"commons-logging"}


def shipped() -> set[str]:
    """Names, without versions, of the jars that pyspark brings: a second version of one would be
    trouble.
    """
    return {re.sub(r"-\d.*", "", path.stem) for path in pyspark_jars().glob("*.jar")}


def resolve(group: str) -> list[str]:
    """Manifest lines of a set, dependencies included."""
    skip = (shipped() | UNWANTED) if group == "spark" else set()
    lines = []
    for roots, transitive in ((WITH_DEPENDENCIES[group], True), (ALONE[group], False)):
        if roots:
            lines += _lines(group, roots, skip, transitive=transitive)
    return sorted(lines, key=lambda line: line.split()[2])


def _lines(
    group: str,
    roots: list[str],
    skip: set[str],
    *,
    transitive: bool,
) -> list[str]:
    with tempfile.TemporaryDirectory() as work:
        out = run_ivy(
            find(),
            Path(work),
            ivy_file(roots, transitive=transitive),
            print,
            "[organisation]/[artifact]/[revision]/([classifier]).[ext]",
        )
        found = [path for path in out.glob("*/*/*/*") if path.parts[-3] not in skip]
        return [_line(group, path) for path in found]


def _line(group: str, path: Path) -> str:
    organisation, name, version, last = path.parts[-4:]
    classifier = last.removesuffix("jar").removesuffix(".")
    coordinate = ":".join([organisation, name, version, *([classifier] if classifier else [])])
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()} {group} {coordinate}"


if __name__ == "__main__":
    body = [line for group in SETS for line in resolve(group)]
    MANIFEST.write_text(
        "\n".join(
            ["# sha256 set coordinate; written by python -m deploy.local.jars_lock", *body, ""]
        ),
        encoding="ascii",
    )
