"""One whole mesh, brought up by the commands in the worst shell that we can think of, in a folder with an odd name."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.local import cache, s3
from examples.shop.data import month
from tests.e2e.shop import ENV, PIPELINE
from tests.unit.deploy.hostile import hostile_shell

pytestmark = pytest.mark.engine
ODD = "späce ü #%'; " + "long" * 40
VISITS = 50


class Commands:
    """The command line in a hostile shell, in a folder with modules that nobody should import."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / ODD
        self._folder = folder
        self._env = {**hostile_shell(folder), **ENV, "TWINSTREAM_CACHE": str(cache.cache_folder())}

    def __call__(self, *words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "twinstream.entry", *words, "--data", str(self.data)],
            env=self._env,
            cwd=self._folder,
            umask=0,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else None

    def processes(self) -> list[psutil.Process]:
        """Everything that this mesh runs now."""
        supervisor = json.loads((self.data / "run" / "mesh.json").read_text())["supervisor"]["pid"]
        top = psutil.Process(supervisor)
        return [
            process
            for process in (top, *top.children(recursive=True))
            if process.status() != psutil.STATUS_ZOMBIE
        ]


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    commands = Commands(tmp_path_factory.mktemp("machine"))
    commands("up", "--pipeline", str(PIPELINE), "--detach")
    yield commands
    commands("down")


READY_WITHIN_S = 30.0


def test_a_whole_epoch_passes_in_a_hostile_shell(commands: Commands, tmp_path: Path) -> None:
    visits = month(3, time.time_ns() // 1000, visits=VISITS)[0]
    lines = tmp_path / "visits.jsonl"
    lines.write_text("".join(json.dumps(visit) + "\n" for visit in visits))
    commands("send", "visits", str(lines))
    commands("publish", "visits", str(lines))
    commands("seal", "--wait")
    give_up = time.monotonic() + READY_WITHIN_S
    while waiting := not_ready(commands):
        assert time.monotonic() < give_up, waiting


def not_ready(commands: Commands) -> dict[str, Any]:
    """Of the services, what `status` says of those that are not ready."""
    services = commands("status", "--json")["services"]
    return {name: one for name, one in services.items() if not one["ready"]}


def test_every_socket_listens_on_loopback(commands: Commands) -> None:
    listening = [
        (process.name(), connection.laddr)
        for process in commands.processes()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= len(
        ("kafka", "controller", "s3", "hive", "ingest", "predict", "monitor")
    )
    assert [
        (name, where)
        for name, where in listening
        if where.ip not in {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    ] == []


def test_no_secret_is_on_a_command_line(commands: Commands) -> None:
    secret = s3.secret_of(commands.data / "s3")
    assert [
        process.pid for process in commands.processes() if secret in " ".join(process.cmdline())
    ] == []


def test_nobody_else_can_look_into_the_data_folder(commands: Commands) -> None:
    assert stat.S_IMODE(commands.data.stat().st_mode) == stat.S_IRWXU
    open_to_others = stat.S_IRWXG | stat.S_IRWXO
    inside = [
        path
        for part in ("run", "logs", "s3", "hive")
        for path in (commands.data / part).rglob("*")
        if path.is_file()
    ]
    assert [str(path) for path in inside if path.stat().st_mode & open_to_others] == []


def test_nothing_of_the_shell_reaches_a_process(commands: Commands) -> None:
    harmless = {"HOME", "PATH", "LANG", "LC_ALL", "TZ"}
    lies = {
        name: value
        for name, value in hostile_shell(commands.data.parent).items()
        if name not in harmless
    }
    for process in commands.processes()[
        1:
    ]:  # the first one fetches the engines, by the user's proxy if need be
        held = {name: value for name, value in process.environ().items() if name in lies}
        assert {name: value for name, value in held.items() if value == lies[name]} == {}, (
            process.cmdline()
        )
