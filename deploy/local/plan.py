"""What one embedded mesh consists of: its settings, addresses, engines, services and preparing
steps.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import msgspec

from deploy.local import environment, hive, jars, java, kafka, ports, s3, services
from deploy.local.child import TETHER, Spec
from deploy.local.folder import prepare
from twinstream.errors import MeshError, SettingsError
from twinstream.mesh import object_store, topics_admin
from twinstream.mesh.settings import MeshSettings

ENGINES = ("kafka", "s3", "hive")
PORTS = {
    "ingest": ("ingest-http", "TWINSTREAM_INGEST_PORT"),
    "predict": ("predict", "TWINSTREAM_PREDICT_PORT"),
    "monitor": ("monitor", "TWINSTREAM_MONITOR_PORT"),
}
"""Port -> the service that listens there and the setting that asks for it."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Something done once, as soon as `after` is ready; processes wait for it by its name."""

    name: str
    run: Callable[[threading.Event], object]
    """Gets an event that is set when the mesh stops.

    A SettingsError or DefinitionError is final, another MeshError is tried again.
    """
    after: tuple[str, ...] = ()


ENGINE_PORTS = {"kafka": 9092, "controller": 9093, "s3": 9090, "hive": 9083}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All that the supervisor needs to know."""

    data: Path
    settings: MeshSettings
    env: dict[str, str]
    specs: list[Spec]
    steps: list[Step]
    addresses: dict[str, str]


def make(
    data: Path,
    pipeline: str,
    names: Iterable[str] = services.ALL,
    engines: Iterable[str] = ENGINES,
    env: Mapping[str, str] | None = None,
    *,
    usual_ports: bool = False,
) -> Plan:
    """Plan a mesh in the folder `data`; `env` holds TWINSTREAM_* settings and whatever else its
    processes should see.

    Without `usual_ports` any free ports are taken the first time;
    afterwards the same ones, while they are free. With the setting `external` no engine is planned:
    the addresses are those of the settings.
    """
    data, given = prepare(data), dict(env or {})
    wanted = MeshSettings.from_env(
        {**given, "TWINSTREAM_PIPELINE": str(Path(pipeline).absolute()) if pipeline else "none"}
    )
    engines = () if wanted.external else tuple(engines)
    names = list(names)
    port = _ports(data, wanted, usual=usual_ports, asked=_asked(given, names)) | _elsewhere(
        given, names, wanted
    )
    runtime = java.find()
    settings = _settings(wanted, data, port, set(engines))
    own = environment.folders(os.environ, data)
    full = {
        **own,
        **given,
        **settings.to_env(),
        "JAVA_HOME": str(runtime.home),
        "TWINSTREAM_SPARK_JARS": str(jars.folder_of("spark")),
    }
    steps = _steps(settings, full, set(engines), with_pipeline=bool(pipeline))
    after = tuple(step.name for step in steps) + (("hive",) if "hive" in engines else ())
    return Plan(
        data=data,
        settings=settings,
        env=full,
        steps=steps,
        addresses=addresses(settings),
        specs=[
            *_with(own, _engine_specs(data, port, settings, runtime, engines)),
            *_service_specs(names, full, after),
        ],
    )


def addresses(settings: MeshSettings) -> dict[str, str]:
    """Where the parts of a mesh are reached."""
    http = f"http://{settings.http_host}"
    return {
        "kafka": settings.kafka,
        "s3": settings.s3_endpoint,
        "hive": settings.hive,
        "ingest": f"{http}:{settings.ingest_port}",
        "predict": f"{http}:{settings.predict_port}",
        "monitor": f"{http}:{settings.monitor_port}",
    }


def _asked(given: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """The settings that ask for a port of a service which is started here."""
    started = {name.partition("@")[0] for name in names}
    return {
        port: setting
        for port, (service, setting) in PORTS.items()
        if service in started and given.get(setting)
    }


def _elsewhere(
    given: Mapping[str, str],
    names: Iterable[str],
    wanted: MeshSettings,
) -> dict[str, int]:
    """Ports that are set of services which are not started here: taken, as they should be."""
    asked = _asked(given, names)
    return {
        port: getattr(wanted, f"{port}_port")
        for port, (_, setting) in PORTS.items()
        if port not in asked and given.get(setting)
    }


def _ports(
    data: Path,
    wanted: MeshSettings,
    *,
    usual: bool,
    asked: Mapping[str, str],
) -> dict[str, int]:
    preferred = {
        **ENGINE_PORTS,
        "ingest": wanted.ingest_port,
        "predict": wanted.predict_port,
        "monitor": wanted.monitor_port,
    }
    if not usual:
        preferred = {name: port if name in asked else 0 for name, port in preferred.items()}
    return ports.choose(data / "ports.json", preferred, asked)


def _settings(
    wanted: MeshSettings,
    data: Path,
    port: dict[str, int],
    engines: set[str],
) -> MeshSettings:
    """The wanted settings with the addresses of what is embedded."""
    changes: dict[str, object] = {
        "data": str(data),
        "ingest_port": port["ingest"],
        "predict_port": port["predict"],
        "monitor_port": port["monitor"],
    }
    if "kafka" in engines:
        changes["kafka"] = f"{ports.HOST}:{port['kafka']}"
    if "s3" in engines:
        changes |= _of_s3(data, port["s3"])
    if "hive" in engines:
        changes["hive"] = f"thrift://{ports.HOST}:{port['hive']}"
    return msgspec.structs.replace(wanted, **changes)


def _of_s3(data: Path, port: int) -> dict[str, str]:
    return {
        "s3_endpoint": s3.endpoint(port),
        "access_key": s3.ACCESS_KEY,
        "secret_key": s3.secret_of(data / "s3"),
        "session_token": "",
        "region": "us-east-1",
    }


def _engine_specs(
    data: Path,
    port: dict[str, int],
    settings: MeshSettings,
    runtime: java.Java,
    engines: tuple[str, ...],
) -> list[Spec]:
    """Specs of the engines; what must be fetched or formatted first is done at the same time."""
    makers: dict[str, Callable[[], Spec]] = {
        "kafka": lambda: kafka.spec(data / "kafka", port["kafka"], port["controller"], runtime),
        "s3": lambda: s3.spec(data / "s3", port["s3"], runtime),
        "hive": lambda: hive.spec(data / "hive", port["hive"], runtime, settings),
    }
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda name: makers[name](), engines))


def _with(env: dict[str, str], specs: list[Spec]) -> list[Spec]:
    return [msgspec.structs.replace(spec, env={**env, **spec.env}) for spec in specs]


def _service_specs(
    names: list[str],
    env: dict[str, str],
    after: tuple[str, ...],
) -> list[Spec]:
    """Services wait for topics and buckets; the batch layer alone needs the metastore as well."""
    early = tuple(name for name in after if name != "hive")
    return [services.specs([name], env, after if name == "batch" else early)[0] for name in names]


def _steps(
    settings: MeshSettings,
    env: dict[str, str],
    engines: set[str],
    *,
    with_pipeline: bool,
) -> list[Step]:
    """Topics and buckets. The definition is read in a process of its own: it is the user's code."""
    steps = []
    if with_pipeline and ("kafka" in engines or settings.external):
        module = ["-m", "twinstream.mesh.topics_admin"]
        steps.append(Step(name="topics", run=partial(run_to_end, module, env)))
    elif "kafka" in engines:
        ensure = partial(_ensure_topics, settings)
        steps.append(Step(name="topics", after=("kafka",), run=ensure))
    if "s3" in engines or settings.external:
        after = ("s3",) if "s3" in engines else ()
        steps.append(Step(name="buckets", after=after, run=partial(_ensure_buckets, settings)))
    return steps


def _ensure_topics(settings: MeshSettings, _: threading.Event) -> None:
    topics_admin.ensure(settings)


def _ensure_buckets(settings: MeshSettings, _: threading.Event) -> None:
    object_store.ensure_buckets(settings)


def run_to_end(
    arguments: list[str],
    env: dict[str, str],
    stopping: threading.Event,
) -> None:
    """Run Python with these arguments; raises SettingsError for exit status 2, MeshError for
    others, with its last line.
    """
    status, said = _run(arguments, env, stopping)
    if status and not stopping.is_set():
        raise (SettingsError if status == 2 else MeshError)(
            said.splitlines()[-1] if said else f"{arguments} ended with {status}"
        )


def _run(
    arguments: list[str],
    env: dict[str, str],
    stopping: threading.Event,
) -> tuple[int, str]:
    """Its exit status, and what it said as an error; it is ended when `stopping` comes first."""
    tethered = [sys.executable, "-I", "-S", str(TETHER), str(os.getpid())]
    with subprocess.Popen(
        [*tethered, sys.executable, *arguments],
        env={**environment.of_machine(os.environ), **env},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while process.poll() is None:
            if stopping.wait(0.05):
                process.terminate()
        said = process.stderr.read().strip() if process.stderr else ""
    return process.returncode, said
