"""The jars of the embedded engines: fetched once by the Ivy inside pyspark, each pinned by version
and SHA-256.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.sax.saxutils import quoteattr

import msgspec

from deploy.local.cache import cache_folder, exclusive
from deploy.local.java import Java, find
from deploy.local.trust import PASSWORD, write_trust_store
from twinstream.errors import MeshError

MANIFEST = Path(__file__).with_name("jars.sha256")
SETS = {
    "kafka": "the Kafka broker",
    "s3mock": "an S3 server",
    "spark": "Spark's readers of Kafka and S3",
}
Say = Callable[[str], None]


class Jar(msgspec.Struct, frozen=True):
    """One jar: `coordinate` is organisation:name:version or
    organisation:name:version:classifier.
    """

    sha256: str
    group: str
    coordinate: str

    @property
    def file_name(self) -> str:
        return "-".join(self.coordinate.split(":")[1:]) + ".jar"


def manifest(path: Path = MANIFEST) -> list[Jar]:
    """All pinned jars; lines are `sha256 set coordinate`."""
    lines = path.read_text(encoding="ascii").splitlines()
    return [Jar(*line.split()) for line in lines if line and not line.startswith("#")]


def folder_of(group: str) -> Path:
    """Where the jars of a set are (or will be)."""
    return cache_folder() / "jars" / group


def ensure(
    group: str,
    java: Java | None = None,
    say: Say = lambda _: None,
) -> Path:
    """Folder with exactly the pinned jars of a set, fetched when missing.

    Raises MeshError when one cannot be had, or is not the one that was pinned.
    Safe for several processes at once.
    """
    jars = [jar for jar in manifest() if jar.group == group]
    folder = folder_of(group)
    if _complete(folder, jars):  # before the lock: the folder may be read-only
        return folder
    with exclusive(folder):
        if not _complete(folder, jars):
            _fetch(group, jars, folder, java or find(), say)
    return folder


def is_there(group: str) -> bool:
    """Whether a set is complete and as pinned."""
    return _complete(folder_of(group), [jar for jar in manifest() if jar.group == group])


def ensure_all(say: Say = print, groups: Iterable[str] = SETS) -> None:
    """`ensure` every set, saying what is done."""
    java = find()
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(ensure, group, java, say) for group in groups]:
            done.result()


def _complete(folder: Path, jars: list[Jar]) -> bool:
    """Whether the folder holds every jar as pinned, and nothing else."""
    if not folder.is_dir() or {path.name for path in folder.iterdir()} != {
        jar.file_name for jar in jars
    }:
        return False
    return all(_digest(folder / jar.file_name) == jar.sha256 for jar in jars)


def _fetch(
    group: str,
    jars: list[Jar],
    folder: Path,
    java: Java,
    say: Say,
) -> None:
    say(
        f"jars of {group} ({SETS[group]}): fetching {len(jars)} from Maven Central, "
        "up to a minute; once per user"
    )
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        work = Path(temporary)
        fetched = run_ivy(java, work, ivy_file(jar.coordinate for jar in jars), say)
        for jar in jars:
            _check(fetched, jar)
        shutil.rmtree(folder, ignore_errors=True)
        fetched.rename(folder)
    say(f"jars of {group}: {len(jars)} there, each as pinned")


def _check(fetched: Path, jar: Jar) -> None:
    path = fetched / jar.file_name
    if not path.exists():
        raise MeshError(
            f"jar {jar.coordinate} was not fetched: is Maven Central reachable? Then try again"
        )
    found = _digest(path)
    if found != jar.sha256:
        raise MeshError(
            f"jar {jar.coordinate} is not the one that was pinned: "
            f"SHA-256 {found}, expected {jar.sha256}. Nothing was installed; "
            f"ask who runs your mirror, and do not edit {MANIFEST.name} unless you know "
            "why it changed"
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def ivy_file(coordinates: Iterable[str], *, transitive: bool = False) -> str:
    """An ivy.xml that asks for these coordinates."""
    wanted = "\n".join(_dependency(coordinate, transitive=transitive) for coordinate in coordinates)
    return (
        '<ivy-module version="2.0" xmlns:m="http://ant.apache.org/ivy/maven"><info '
        'organisation="twinstream" module="mesh"/>'
        "<configurations><conf "
        f'name="default"/></configurations><dependencies>{wanted}</dependencies></ivy-module>'
    )


def _dependency(coordinate: str, *, transitive: bool) -> str:
    organisation, name, version, *classifier = coordinate.split(":")
    artifact = "".join(
        f'<artifact name={quoteattr(name)} type="jar" ext="jar" m:classifier={quoteattr(c)}/>'
        for c in classifier
    )
    mapping = "default->master,runtime" if transitive else "default->master"
    return (
        f"<dependency org={quoteattr(organisation)} name={quoteattr(name)} "
        f"rev={quoteattr(version)} "
        f'conf="{mapping}" transitive="{str(transitive).lower()}">{artifact}</dependency>'
    )


PROBLEMS = ("not found", "HttpClientHandler", "SERVER ERROR")
"""What a line of Ivy holds that could not fetch something."""


def run_ivy(
    java: Java,
    work: Path,
    ivy_xml: str,
    say: Say,
    pattern: str = "[artifact]-[revision](-[classifier]).[ext]",
) -> Path:
    """Fetch what an ivy.xml names; return the folder.

    TWINSTREAM_IVY_SETTINGS names a settings file, for a mirror.
    """
    (work / "ivy.xml").write_text(ivy_xml, encoding="utf-8")
    lines = []
    with subprocess.Popen(
        _ivy_command(java, work, pattern),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout or ():
            lines.append(line)
            if "[SUCCESSFUL ]" in line:
                say(f"  {line.split()[2].split('!')[0]}")
    _check_fetched(process.returncode, lines)
    return work / "out"


def _ivy_command(
    java: Java,
    work: Path,
    pattern: str,
) -> list[str]:
    settings = os.environ.get("TWINSTREAM_IVY_SETTINGS")
    return [
        java.binary,
        "-Xmx256m",
        *_trust(java, work),
        f"-Divy.default.ivy.user.dir={work}",
        "-cp",
        str(pyspark_jars() / "*"),
        "org.apache.ivy.Main",
        *(["-settings", settings] if settings else []),
        "-ivy",
        str(work / "ivy.xml"),
        "-cache",
        str(work / "cache"),
        "-types",
        "jar",
        "bundle",
        "-retrieve",
        str(work / "out" / pattern),
    ]


def _check_fetched(status: int, lines: Iterable[str]) -> None:
    """Raises MeshError with what Ivy said."""
    problems = [line.strip() for line in lines if any(sign in line for sign in PROBLEMS)]
    if status or problems:
        raise MeshError(
            "jars cannot be fetched from Maven Central; is it reachable? "
            + "; ".join(problems[-3:])
        )


def _trust(java: Java, work: Path) -> list[str]:
    """Options that let the bundled JRE trust what the host trusts."""
    store = work / "trust.jks"
    if not java.bundled or not write_trust_store(store):
        return []
    return [f"-Djavax.net.ssl.trustStore={store}", f"-Djavax.net.ssl.trustStorePassword={PASSWORD}"]


def pyspark_jars() -> Path:
    """The folder of the jars that come with pyspark."""
    import pyspark

    return Path(pyspark.__file__).parent / "jars"


if __name__ == "__main__":
    try:
        ensure_all()
    except MeshError as problem:
        sys.exit(f"error: {problem}")
