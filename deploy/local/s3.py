"""An S3 server with versioned buckets on plain files: versitygw if it is on PATH,
else Adobe S3Mock. Both on the loopback interface alone.
"""

# versitygw asks for the key of the data folder; S3Mock takes any.

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from deploy.local import jars
from deploy.local.child import Spec
from deploy.local.java import Java
from deploy.local.ports import HOST, answers
from twinstream.errors import MeshError
from twinstream.mesh.files import scratch, write_whole
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.settings import MeshSettings

ACCESS_KEY = "twinstream"
KIND_FILE, SECRET_FILE, CONNECTOR_FILE = "server", "secret", "connector.xml"
CONNECTOR = """\
<?xml version="1.0" encoding="UTF-8"?>
<beans xmlns="http://www.springframework.org/schema/beans" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
       xsi:schemaLocation="http://www.springframework.org/schema/beans http://www.springframework.org/schema/beans/spring-beans.xsd">
  <bean id="httpConnector" class="org.apache.catalina.connector.Connector">
    <constructor-arg><bean class="org.apache.coyote.http11.Http11NioProtocol"><property name="address" value="{host}"/></bean></constructor-arg>
    <property name="port" value="{port}"/>
  </bean>
</beans>
"""
"""S3Mock's own plain connector listens on all interfaces, whatever its options say:
this bean takes its place.
"""


def spec(
    folder: Path,
    port: int,
    java: Java,
) -> Spec:
    """The server with its objects in `folder`; a folder stays with the server that began it."""
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    own = kind_of(folder) == "versitygw"
    secret = secret_of(folder)
    return Spec(
        name="s3",
        argv=_versitygw(folder, port) if own else _s3mock(folder, port, java),
        env={"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": secret},
        service=False,
        stop_bound_s=10.0,
        probe=_Probe(port, secret),
        cwd=folder,
    )


def secret_of(folder: Path) -> str:
    """The secret key of this folder's server; made with the folder."""
    file = folder / SECRET_FILE
    if not file.exists() or not file.read_text(encoding="ascii"):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(file, secrets.token_hex(16).encode(), 0o600)
    return file.read_text(encoding="ascii")


def kind_of(folder: Path) -> str:
    """Which server has written this folder, or will."""
    kind_file = folder / KIND_FILE
    if not kind_file.exists():
        write_whole(kind_file, b"versitygw" if shutil.which("versitygw") else b"s3mock")
    return kind_file.read_text(encoding="ascii").strip()


def endpoint(port: int) -> str:
    """URL of the server on this port."""
    return f"http://{HOST}:{port}"


def _versitygw(folder: Path, port: int) -> list[str]:
    for name in ("objects", "versions"):
        (folder / name).mkdir(exist_ok=True)
    return [
        "versitygw",
        "--port",
        f"{HOST}:{port}",
        "posix",
        "--versioning-dir",
        "versions",
        "objects",
    ]


def _s3mock(
    folder: Path,
    port: int,
    java: Java,
) -> list[str]:
    jar = next(jars.ensure("s3mock", java).glob("*.jar"))
    (folder / "objects").mkdir(exist_ok=True)
    write_whole(folder / CONNECTOR_FILE, CONNECTOR.format(host=HOST, port=port).encode())
    prefix = "--com.adobe.testing.s3mock.store"
    return [
        java.binary,
        "-Xmx384m",
        "-Xms64m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
        f"-Djava.io.tmpdir={scratch(folder / 'tmp')}",
        "-jar",
        str(jar),
        f"{prefix}.root=objects",
        f"{prefix}.retainFilesOnExit=true",
        f"--spring.main.sources=file:{CONNECTOR_FILE}",
        "--spring.main.allow-bean-definition-overriding=true",
        "--server.port=0",
        f"--server.address={HOST}",
        "--logging.level.root=WARN",
    ]


class _Probe:
    """Whether the server lists its buckets."""

    def __init__(self, port: int, secret: str) -> None:
        self._port, self._secret = port, secret
        self._store: ObjectStore | None = None

    def __call__(self) -> bool:
        if not answers(self._port):
            return False
        self._store = self._store or ObjectStore(
            MeshSettings(
                pipeline="",
                s3_endpoint=endpoint(self._port),
                access_key=ACCESS_KEY,
                secret_key=self._secret,
            )
        )
        try:
            self._store.buckets()
        except MeshError:
            return False
        return True
