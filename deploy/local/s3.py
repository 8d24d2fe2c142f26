"""An S3 server with versioned buckets on plain files: versitygw if it is on PATH, else Adobe S3Mock."""

from __future__ import annotations

import shutil
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from deploy.local import jars
from deploy.local.child import Spec
from deploy.local.java import Java
from deploy.local.ports import HOST, answers
from twinstream.mesh.files import scratch
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.settings import MeshSettings

ACCESS_KEY = SECRET_KEY = "test"  # noqa: S105  (listens on the loopback interface only)
KIND_FILE = "server"


def spec(folder: Path, port: int, java: Java) -> Spec:
    """The server with its objects in `folder`; a folder stays with the server that began it."""
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    kind = kind_of(folder)
    argv = _versitygw(folder, port) if kind == "versitygw" else _s3mock(folder, port, java)
    return Spec(name="s3", argv=argv, service=False, stop_bound_s=10.0, probe=_Probe(port))


def kind_of(folder: Path) -> str:
    """Which server has written this folder, or will."""
    kind_file = folder / KIND_FILE
    if not kind_file.exists():
        kind_file.write_text("versitygw" if shutil.which("versitygw") else "s3mock", encoding="ascii")
    return kind_file.read_text(encoding="ascii").strip()


def endpoint(port: int) -> str:
    """URL of the server on this port."""
    return f"http://{HOST}:{port}"


def _versitygw(folder: Path, port: int) -> list[str]:
    for name in ("objects", "versions"):
        (folder / name).mkdir(exist_ok=True)
    return [
        "versitygw", "--port", f"{HOST}:{port}", "--access", ACCESS_KEY, "--secret", SECRET_KEY,
        "posix", "--versioning-dir", str(folder / "versions"), str(folder / "objects"),
    ]


def _s3mock(folder: Path, port: int, java: Java) -> list[str]:
    jar = next(jars.ensure("s3mock", java).glob("*.jar"))
    (folder / "objects").mkdir(exist_ok=True)
    prefix = "--com.adobe.testing.s3mock.store"
    return [
        java.binary, "-Xmx384m", "-Xms64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
        f"-Djava.io.tmpdir={scratch(folder / 'tmp')}", "-jar", str(jar),
        f"{prefix}.root={folder / 'objects'}", f"{prefix}.retainFilesOnExit=true",
        f"--http.port={port}", "--server.port=0", f"--server.address={HOST}", "--logging.level.root=WARN",
    ]


class _Probe:
    """Whether the server lists its buckets."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._store: ObjectStore | None = None

    def __call__(self) -> bool:
        if not answers(self._port):
            return False
        self._store = self._store or ObjectStore(MeshSettings(
            pipeline="", s3_endpoint=endpoint(self._port), access_key=ACCESS_KEY, secret_key=SECRET_KEY))
        try:
            self._store.buckets()
        except (BotoCoreError, ClientError):
            return False
        return True
