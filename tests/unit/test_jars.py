"""Jars are pinned by version and SHA-256, and what differs is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from deploy.local import jars
from deploy.local.jars import Jar
from twinstream.errors import MeshError

CONTENT = b"a jar"
JAR = Jar(hashlib.sha256(CONTENT).hexdigest(), "kafka", "org.example:thing:1.0:exec")


@pytest.fixture
def pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One pinned jar and an empty cache; Ivy fetches what stands in the returned file."""
    manifest = tmp_path / "jars.sha256"
    manifest.write_text(f"# comment\n{JAR.sha256} kafka {JAR.coordinate}\n", encoding="ascii")
    served = tmp_path / "served"
    served.write_bytes(CONTENT)

    def fetch(_java: object, work: Path, _ivy: str, _say: object) -> Path:
        (work / "out").mkdir()
        (work / "out" / JAR.file_name).write_bytes(served.read_bytes())
        return work / "out"

    everything = jars.manifest(manifest)
    monkeypatch.setattr(jars, "manifest", lambda: everything)
    monkeypatch.setattr(jars, "run_ivy", fetch)
    monkeypatch.setenv("TWINSTREAM_CACHE", str(tmp_path / "cache"))
    return served


def test_the_committed_manifest_covers_every_set_once() -> None:
    found = jars.manifest()
    assert {jar.group for jar in found} == set(jars.SETS)
    assert len({(jar.group, jar.file_name) for jar in found}) == len(found)
    assert all(len(jar.sha256) == 64 for jar in found)


def test_a_set_is_fetched_once(pinned: Path) -> None:
    folder = jars.ensure("kafka")
    assert [path.name for path in folder.iterdir()] == ["thing-1.0-exec.jar"]
    pinned.write_bytes(b"now something else is served")
    assert jars.ensure("kafka") == folder


def test_another_jar_than_the_pinned_one_is_refused(pinned: Path) -> None:
    pinned.write_bytes(b"evil")
    with pytest.raises(MeshError, match=f"{JAR.coordinate} is not the one that was pinned"):
        jars.ensure("kafka")
    assert not jars.folder_of("kafka").exists()


def test_a_jar_that_changed_on_disk_is_fetched_again(pinned: Path) -> None:
    path = jars.ensure("kafka") / JAR.file_name
    path.write_bytes(b"torn")
    jars.ensure("kafka")
    assert path.read_bytes() == CONTENT


def test_a_classifier_reaches_ivy() -> None:
    text = jars.ivy_file([JAR.coordinate])
    assert 'org="org.example" name="thing" rev="1.0"' in text
    assert 'm:classifier="exec"' in text
