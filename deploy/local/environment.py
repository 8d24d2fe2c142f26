"""The environment of a mesh's processes: an allow list, so that nothing that a shell happens to hold changes what they do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from twinstream import installed

MACHINE = (
    "HOME",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "LOGNAME",
    "PATH",
    "SHELL",
    "USER",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
)
"""What says which machine and which user this is."""
FIXED = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PYTHONSAFEPATH": "1",  # a json.py in the folder where `up` was called is not Python's json
    "PYTHONUTF8": "1",
    "TZ": "UTC",
}
FETCHING = (
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "JAVA_TOOL_OPTIONS",
    "NO_PROXY",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "XDG_CACHE_HOME",
)
"""What the supervisor needs besides, to fetch the engines' jars: how to get out of this network."""
EXTERNAL = (
    "ALL_PROXY",
    "AWS_",
    "HADOOP_CONF_DIR",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "KRB5",
    "KUBE",
    "NO_PROXY",
    "RAY_AUTH_",
    "RAY_TLS_",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_",
    "YARN_CONF_DIR",
)
"""Beginnings of what engines that run elsewhere need; docs/operations.md lists them."""
OURS = "TWINSTREAM_"
LONGEST_TEMPORARY = 60
"""Sockets lie below the temporary folder, and a socket's path may have 107 bytes."""


def of_machine(shell: Mapping[str, str]) -> dict[str, str]:
    """What every process gets, whatever the shell holds."""
    kept = {name: shell[name] for name in MACHINE if shell.get(name)}
    return {"PATH": os.defpath, **kept, **FIXED, **installed.python_path()}


def of_mesh(shell: Mapping[str, str]) -> dict[str, str]:
    """The mesh's settings; with TWINSTREAM_EXTERNAL also what reaches engines that run elsewhere."""
    beginnings: tuple[str, ...] = (OURS,)
    if is_external(shell):
        beginnings += EXTERNAL
    elif shell.get("TWINSTREAM_RAY_ADDRESS"):
        beginnings += ("RAY_AUTH_", "RAY_TLS_")
    return {name: value for name, value in shell.items() if name.upper().startswith(beginnings)}


def of_supervisor(shell: Mapping[str, str]) -> dict[str, str]:
    """What the supervisor itself gets."""
    fetching = {name: value for name, value in shell.items() if name.upper() in FETCHING}
    return fetching | of_machine(shell) | of_mesh(shell)


def is_external(shell: Mapping[str, str]) -> bool:
    """Whether the settings say that Kafka, S3 and Hive run elsewhere."""
    return shell.get("TWINSTREAM_EXTERNAL", "").lower() not in {"", "0", "false", "no"}


def folders(shell: Mapping[str, str], data: Path) -> dict[str, str]:
    """HOME and TMPDIR of the mesh's processes: the user's own, where they can be written to."""
    home, temporary = shell.get("HOME", ""), shell.get("TMPDIR", "")
    chosen = {"HOME": home if _writable(home) else str(_made(data / "home"))}
    if _writable(temporary) and len(os.fsencode(temporary)) <= LONGEST_TEMPORARY:
        chosen["TMPDIR"] = temporary
    return chosen


def _writable(folder: str) -> bool:
    return (
        Path(folder).is_absolute()
        and Path(folder).is_dir()
        and os.access(folder, os.W_OK | os.X_OK)
    )


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
