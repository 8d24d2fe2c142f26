"""Of a shell only what is on a list reaches a process of the mesh."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local import environment
from preprocess_svc.batch.spark.session import at_start, spark_environment
from tests.unit.deploy.hostile import FOREIGN, VALUES, hostile_shell
from twinstream import entry
from twinstream.mesh.settings import MeshSettings

SAME = {"PATH", "HOME"}


def changed(environment: dict[str, str], shell: dict[str, str]) -> set[str]:
    """Names whose hostile value got through."""
    return {
        name for name in environment if name not in SAME and environment[name] == shell.get(name)
    }


def test_no_process_gets_what_a_hostile_shell_holds(tmp_path: Path) -> None:
    shell = hostile_shell(tmp_path)
    assert changed(environment.of_machine(shell) | environment.of_mesh(shell), shell) == set()


def test_settings_reach_the_mesh() -> None:
    assert environment.of_mesh({"TWINSTREAM_PARTITIONS": "3", "PARTITIONS": "4"}) == {
        "TWINSTREAM_PARTITIONS": "3"
    }


@pytest.mark.parametrize(
    "name",
    [
        "AWS_PROFILE",
        "https_proxy",
        "NO_PROXY",
        "SSL_CERT_FILE",
        "HADOOP_CONF_DIR",
        "RAY_AUTH_TOKEN",
        "KUBECONFIG",
    ],
)
def test_external_engines_are_reached_by_what_is_documented(name: str) -> None:
    assert name in environment.of_mesh({name: "x", "TWINSTREAM_EXTERNAL": "1"})
    assert name not in environment.of_mesh({name: "x", "TWINSTREAM_EXTERNAL": "0"})


@pytest.mark.parametrize(
    "name",
    [
        "SPARK_HOME",
        "SPARK_CONF_DIR",
        "PYTHONPATH",
        "JAVA_TOOL_OPTIONS",
        "KAFKA_OPTS",
        "RAY_ADDRESS",
        "TZ",
    ],
)
def test_external_engines_do_not_open_the_door_to_the_rest(name: str) -> None:
    assert name not in environment.of_mesh({name: "x", "TWINSTREAM_EXTERNAL": "1"})


def test_a_home_that_cannot_be_written_to_is_replaced(tmp_path: Path) -> None:
    assert environment.folders({"HOME": "/nonexistent"}, tmp_path) == {
        "HOME": str(tmp_path / "home")
    }
    assert (tmp_path / "home").is_dir()


def test_a_home_and_a_temporary_folder_stay_where_they_can_be_used(tmp_path: Path) -> None:
    usable = {"HOME": str(tmp_path), "TMPDIR": "/tmp"}
    assert environment.folders(usable, tmp_path / "data") == usable


def test_a_temporary_folder_too_long_for_sockets_is_left_out(tmp_path: Path) -> None:
    long = tmp_path / ("x" * environment.LONGEST_TEMPORARY)
    long.mkdir()
    assert "TMPDIR" not in environment.folders({"TMPDIR": str(long)}, tmp_path)


def test_spark_sees_no_other_spark_and_no_other_key(tmp_path: Path) -> None:
    shell = hostile_shell(tmp_path)
    mesh = MeshSettings(
        pipeline="p",
        data=str(tmp_path),
        s3_endpoint="http://127.0.0.1:1",
        access_key="a",
        secret_key="b",
    )
    found = spark_environment(shell, mesh)
    assert {name: value for name, value in found.items() if name.startswith("AWS_")} == {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
    }
    assert {
        name
        for name in changed(found, shell)
        if name.startswith(("SPARK", "PYSPARK", "JAVA_TOOL", "_JAVA", "JDK", "CLASSPATH"))
    } == set()
    assert Path(found["SPARK_HOME"], "jars").is_dir()


def test_spark_keeps_the_chain_of_aws_where_no_key_is_set(tmp_path: Path) -> None:
    found = spark_environment(
        {"AWS_PROFILE": "team", "AWS_SESSION_TOKEN": ""},
        MeshSettings(pipeline="p", data=str(tmp_path)),
    )
    assert (found["AWS_PROFILE"], "AWS_SESSION_TOKEN" in found) == ("team", False)


def test_no_secret_is_among_what_spark_is_started_with() -> None:
    options = {
        "spark.driver.memory": "1g",
        "spark.hadoop.fs.s3a.secret.key": "geheim",
        "spark.driver.extraJavaOptions": 'a "-Db=c d" \\ e',
    }
    assert (
        at_start(options)
        == 'spark.driver.memory 1g\nspark.driver.extraJavaOptions a "-Db=c d" \\\\ e\n'
    )


def test_the_command_reads_no_python_variable_of_the_shell(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "twinstream.entry", "topics", "--json", "--data", str(tmp_path)],
        env=hostile_shell(tmp_path),
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "mesh.metric-observed.v1" in done.stdout


def test_the_command_gets_its_arguments_whole() -> None:
    assert entry.command(["send", "a b"])[-2:] == ["send", "a b"]


def test_the_hostile_shell_is_hostile(tmp_path: Path) -> None:
    shell = hostile_shell(tmp_path)
    assert VALUES.keys() < shell.keys()
    done = subprocess.run(
        [sys.executable, "-c", f"import {FOREIGN[0]}"],
        env=shell,
        cwd=os.sep,
        capture_output=True,
        check=False,
    )
    assert done.returncode != 0
