"""A port that a setting asks for is had or refused; others are found."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import plan, ports
from twinstream.errors import SettingsError

SETTING = {"predict": "TWINSTREAM_PREDICT_PORT"}


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server((ports.HOST, 0)) as server:
        yield int(server.getsockname()[1])


def test_a_port_asked_for_that_is_taken_is_refused_with_its_holder(
    taken: int, tmp_path: Path
) -> None:
    with pytest.raises(
        SettingsError, match=rf"TWINSTREAM_PREDICT_PORT={taken} is taken by .*pid {os.getpid()}"
    ):
        ports.choose(tmp_path / "ports.json", {"predict": taken}, SETTING)


def test_a_usual_port_that_is_taken_is_replaced(taken: int, tmp_path: Path) -> None:
    assert ports.choose(tmp_path / "ports.json", {"predict": taken})["predict"] != taken


def test_a_port_asked_for_beats_the_one_of_last_time(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    first = ports.choose(path, {"predict": 0})["predict"]
    other = ports.any_free({first})
    assert ports.choose(path, {"predict": other}, SETTING) == {"predict": other}
    assert ports.choose(path, {"predict": 0}) == {"predict": other}


def test_a_port_of_last_time_is_not_given_to_who_did_not_ask_for_it(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    first = ports.choose(path, {"monitor": 0, "predict": 0})
    again = ports.choose(path, {"monitor": 0, "predict": first["monitor"]}, SETTING)
    assert again["predict"] == first["monitor"] != again["monitor"]


@pytest.mark.parametrize("port", [-1, 0, 65_536])
def test_a_number_that_is_not_a_port_is_refused(port: int, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="TWINSTREAM_PREDICT_PORT"):
        ports.choose(tmp_path / "ports.json", {"predict": port}, SETTING)


def test_two_services_do_not_get_one_port(tmp_path: Path) -> None:
    free = ports.any_free(set())
    with pytest.raises(SettingsError, match="same port"):
        ports.choose(
            tmp_path / "ports.json",
            {"predict": free, "monitor": free},
            SETTING | {"monitor": "TWINSTREAM_MONITOR_PORT"},
        )


@pytest.mark.parametrize("torn", ["", '{"kaf', "[]", '{"predict": "x"}'])
def test_a_torn_file_of_ports_is_no_obstacle(torn: str, tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text(torn)
    assert ports.choose(tmp_path / "ports.json", {"predict": 0})["predict"] > 0


def test_a_port_of_a_service_that_runs_elsewhere_may_be_taken(taken: int, tmp_path: Path) -> None:
    env = {"TWINSTREAM_PREDICT_PORT": str(taken)}
    with pytest.raises(SettingsError, match="is taken"):
        plan.make(tmp_path, "", names=["predict"], engines=(), env=env)
    assert (
        plan.make(tmp_path, "", names=["monitor"], engines=(), env=env).settings.predict_port
        == taken
    )
