"""The service processes of a mesh, in the order in which they are started."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from deploy.local.child import Spec
from twinstream.errors import SettingsError

MODULES = {
    "ingest": "ingest_svc",
    "ingest-http": "ingest_svc.http_api",
    "speed": "preprocess_svc.speed",
    "view": "predict_svc.view",
    "batch": "preprocess_svc.batch",
    "predict": "predict_svc.api",
    "train": "train_svc",
    "monitor": "monitor_svc",
}
ALL = tuple(MODULES)


def wanted(shell: Mapping[str, str]) -> list[str]:
    """Names of the services that TWINSTREAM_SERVICES asks for; without it, each once."""
    return [name for name in shell.get("TWINSTREAM_SERVICES", ",".join(ALL)).split(",") if name]


def specs(
    names: Iterable[str],
    env: dict[str, str],
    after: tuple[str, ...],
) -> list[Spec]:
    """A Spec for each name; `speed@2` is a second worker of `speed`. Raises SettingsError for an unknown name."""
    return [_spec(name, env, after) for name in names]


def _spec(
    name: str,
    env: dict[str, str],
    after: tuple[str, ...],
) -> Spec:
    kind, _, instance = name.partition("@")
    if kind not in MODULES:
        raise SettingsError(f"no service {name!r}: there are {', '.join(MODULES)}")
    return Spec(
        name=name,
        argv=[sys.executable, "-m", MODULES[kind]],
        after=after,
        env={
            **env,
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "",
            **({"TWINSTREAM_INSTANCE": instance} if instance else {}),
        },
    )
