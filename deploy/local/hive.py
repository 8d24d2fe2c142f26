"""The Hive metastore out of pyspark's own jars, with Derby in the data folder, on the loopback
interface alone.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from xml.sax.saxutils import escape

from deploy.local import jars
from deploy.local.child import Spec
from deploy.local.java import Java
from deploy.local.ports import HOST
from twinstream.mesh.files import write_whole
from twinstream.mesh.settings import MeshSettings

SERVER = Path(__file__).with_name("LoopbackMetastore.java")
COMPILER = "org.codehaus.janino.SimpleCompiler"
"""Comes with Spark; compiles a source file and runs it, so that a Java without a compiler is
enough.
"""


def spec(
    folder: Path,
    port: int,
    java: Java,
    settings: MeshSettings,
) -> Spec:
    """The metastore with its database in `folder`; it makes table folders on S3 itself,
    so it knows how to reach it.

    It runs in `folder`, so that no character of the folder's path gets into a class path or a
    database's URL.
    """
    folder = folder.absolute()
    conf, home = folder / "conf", folder / "work"
    for needed in (conf, home):
        needed.mkdir(parents=True, exist_ok=True)
    write_whole(conf / "hive-site.xml", site(folder, settings).encode(), 0o600)
    return Spec(
        name="hive",
        service=False,
        stop_bound_s=10.0,
        probe=lambda: answers_thrift(port),
        cwd=folder,
        argv=_command(folder, home, java, port),
    )


def _command(
    folder: Path,
    home: Path,
    java: Java,
    port: int,
) -> list[str]:
    class_path = f"conf:{jars.pyspark_jars()}/*:{jars.ensure('spark', java)}/*"
    return [
        java.binary,
        "-Xmx384m",
        "-Xms64m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
        f"-Dderby.system.home={folder}",
        f"-Dderby.stream.error.file={home}/derby.log",
        f"-Djava.io.tmpdir={home}",
        "-cp",
        class_path,
        COMPILER,
        str(SERVER),
        SERVER.stem,
        HOST,
        str(port),
    ]


FIXED = {
    "javax.jdo.option.ConnectionURL": "jdbc:derby:;databaseName=metastore;create=true",
    "javax.jdo.option.ConnectionDriverName": "org.apache.derby.jdbc.EmbeddedDriver",
    "datanucleus.schema.autoCreateAll": "true",
    "datanucleus.connectionPoolingType": "HikariCP",
    "hive.metastore.schema.verification": "false",
    "hive.async.log.enabled": "false",
    "fs.s3a.path.style.access": "true",
    "fs.s3a.connection.ssl.enabled": "false",
    "fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
}


def site(folder: Path, settings: MeshSettings) -> str:
    """The text of hive-site.xml."""
    options = {
        **FIXED,
        "hive.metastore.warehouse.dir": f"file:{folder}/warehouse",
        "fs.s3a.endpoint": settings.s3_endpoint,
        "fs.s3a.endpoint.region": settings.region,
        "fs.s3a.access.key": settings.access_key,
        "fs.s3a.secret.key": settings.secret_key,
    }
    rows = "".join(
        f"<property><name>{name}</name><value>{escape(value)}</value></property>\n"
        for name, value in options.items()
    )
    return f'<?xml version="1.0"?>\n<configuration>\n{rows}</configuration>\n'


def answers_thrift(port: int, timeout_s: float = 10.0) -> bool:
    """Whether the metastore lists its databases: one Thrift call, written out (binary protocol,
    no arguments).
    """
    name = b"get_all_databases"
    call = struct.pack(">Ii", 0x80010001, len(name)) + name + struct.pack(">ib", 1, 0)
    try:
        with socket.create_connection((HOST, port), timeout=0.5) as connection:
            connection.settimeout(timeout_s)
            connection.sendall(call)
            return connection.recv(4) == b"\x80\x01\x00\x02"
    except OSError:
        return False
