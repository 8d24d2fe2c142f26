"""Reaching this machine itself: no proxy, profile or certificate of the shell has a say in that."""

from __future__ import annotations

import ipaddress
import urllib.request
from typing import Any
from urllib.parse import urlsplit

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine's loopback interface."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def open_url(request: str | urllib.request.Request, timeout_s: float) -> Any:
    """As `urllib.request.urlopen`, but never by a proxy to this machine itself."""
    url = request if isinstance(request, str) else request.full_url
    if is_loopback(url):
        return _DIRECT.open(request, timeout=timeout_s)
    return urllib.request.urlopen(request, timeout=timeout_s)  # noqa: S310
