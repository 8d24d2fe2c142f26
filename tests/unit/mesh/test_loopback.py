"""This machine is reached directly, whatever proxies, profiles and endpoints a shell holds."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ProfileNotFound

from tests.unit.deploy.hostile import hostile_shell
from twinstream.mesh.loopback import is_loopback, open_url
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.settings import MeshSettings

BUCKETS = b"<ListAllMyBucketsResult><Buckets><Bucket><Name>raw</Name></Bucket></Buckets></ListAllMyBucketsResult>"


class Answer(http.server.BaseHTTPRequestHandler):
    """Says which buckets there are."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(BUCKETS)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in hostile_shell(tmp_path).items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("hostile")
def test_a_page_of_this_machine_is_read_without_a_proxy(server: str) -> None:
    with open_url(server, 5.0) as answer:
        assert answer.read() == BUCKETS


@pytest.mark.usefixtures("hostile")
def test_s3_on_this_machine_is_reached_by_our_settings_alone(server: str) -> None:
    settings = MeshSettings(pipeline="p", s3_endpoint=server, access_key="a", secret_key="b")
    assert ObjectStore(settings).buckets() == ["raw"]


@pytest.mark.usefixtures("hostile")
def test_s3_elsewhere_is_reached_by_the_standard_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with pytest.raises(ProfileNotFound):
        ObjectStore(MeshSettings(pipeline="p"))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:80", "http://127.9.9.9", "http://[::1]:80/a", "https://localhost/"]
)
def test_an_address_of_this_machine_is_known(url: str) -> None:
    assert is_loopback(url)


@pytest.mark.parametrize(
    "url",
    ["", "http://example.com", "http://10.0.0.1", "http://0.0.0.0", "http://localhost.example.com"],
)
def test_an_address_elsewhere_is_not_taken_for_this_machine(url: str) -> None:
    assert not is_loopback(url)
