"""Ray Tune as the searcher: trials in parallel, suggested by Optuna, bad ones stopped early (ASHA),
actors reused.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from train_svc.adapters.optuna_study import distributions, sampler_of
from train_svc.ports import Problem
from train_svc.search import RAY, Candidate, Found, Search, best_of, fixed
from train_svc.training import fit_network

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AUTH_MODE": "token",
    "OMP_NUM_THREADS": "1",
}
ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""A Ray of this machine alone then listens on the loopback interface, here as on those systems;
else on all.
"""
ATTEMPTS = 3
LONGEST_FOLDER = 40
"""Ray's sockets lie up to 66 characters below its folder, and a socket's path may have 107."""

log = structlog.get_logger()


class RayTuner:
    """Searches on a Ray cluster, or (address "") on one that lives in this process's children for
    the length of a search.
    """

    def __init__(self, address: str, data: str, parallel: int) -> None:
        self._address, self._data, self._parallel = address, data, parallel

    def search(self, problem: Problem, wanted: Search) -> Found:
        """Raises NothingFoundError when no candidate gave a finite loss."""
        with running_ray(self._address, self._data, self._parallel):
            done, why = tune(problem, wanted, self._parallel, self._data)
            return best_of(done, RAY, why)


def tune(
    problem: Problem, wanted: Search, parallel: int, data: str
) -> tuple[list[tuple[Candidate, float, int]], str]:
    """(candidate, lowest validation loss, passes) of every trial, in the order in which they began;
    why the last failed.
    """
    from ray import tune as ray_tune

    logging.getLogger("ray.tune").setLevel(
        logging.ERROR
    )  # it misses the result files that nobody asked for
    home = Path(data).absolute() / "tune"
    shutil.rmtree(home, ignore_errors=True)  # of a search that was killed
    folder = Path(tempfile.mkdtemp(dir=_made(home)))
    rest = fixed(wanted.space)
    given = ray_tune.with_parameters(trial, problem=problem, rest=rest)
    try:
        results = ray_tune.Tuner(
            ray_tune.with_resources(given, {"cpu": 1}),
            tune_config=tune_config(problem, wanted, parallel),
            run_config=ray_tune.RunConfig(
                storage_path=str(folder),
                verbose=0,
                failure_config=ray_tune.FailureConfig(max_failures=1),
            ),
        ).fit()
        done = [_outcome(result, rest) for result in results]
        why = next((_last_line(result.error) for result in results if result.error), "")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return done, why


def tune_config(
    problem: Problem,
    wanted: Search,
    parallel: int,
) -> Any:
    """Candidates by Optuna, those that are behind stopped by ASHA."""
    from ray import tune as ray_tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    searched = distributions(wanted.space)
    first = [{name: one[name] for name in searched} for one in wanted.first]
    suggesting = OptunaSearch(
        space=searched,
        metric="loss",
        mode="min",
        sampler=sampler_of(wanted, 0),
        points_to_evaluate=first or None,
    )
    passes = problem.config.max_epochs
    return ray_tune.TuneConfig(
        metric="loss",
        mode="min",
        num_samples=wanted.trials,
        time_budget_s=wanted.seconds,
        max_concurrent_trials=parallel,
        reuse_actors=True,
        search_alg=suggesting,
        scheduler=ASHAScheduler(max_t=passes, grace_period=1, reduction_factor=2),
    )


def trial(config: dict[str, Any], problem: Problem, rest: Candidate) -> None:
    """One trial, in an actor of its own: reports the lowest loss so far after each pass."""
    from ray import tune as ray_tune

    lowest = float("inf")

    def report(epoch: int, loss: float) -> bool:
        nonlocal lowest
        lowest = min(lowest, loss)
        ray_tune.report({"loss": lowest, "epoch": epoch})
        return False

    fit_network(
        problem.split,
        problem.inputs,
        problem.statistics,
        problem.config.changed(rest | config),
        network_class=problem.network,
        on_epoch=report,
    )


@contextmanager
def running_ray(address: str, data: str, parallel: int) -> Iterator[None]:
    """A connected Ray for the length of the block; what this process started ends with it."""
    for name, value in (ENVIRONMENT if address else ENVIRONMENT | ALONE).items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(16))
    import ray

    folder = short_folder(data)
    quiet: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": "ERROR",
        "configure_logging": False,
    }
    local: dict[str, Any] = {
        "num_cpus": parallel,
        "num_gpus": 0,
        "include_dashboard": False,
        "object_store_memory": 150_000_000,
        "_temp_dir": str(folder),
        "_node_ip_address": "127.0.0.1",
    }
    try:
        _connect({"address": address, **quiet} if address else {**local, **quiet})
        yield
    finally:
        ray.shutdown()
        shutil.rmtree(folder.parent, ignore_errors=True)


def _connect(arguments: dict[str, Any]) -> None:
    """Starts or joins Ray; on a busy host its own bound of 30 s may pass, so three times."""
    import ray

    for attempt in range(1, ATTEMPTS + 1):
        try:
            ray.init(**arguments)
        except Exception as error:
            ray.shutdown()
            log.warning("ray_not_started", attempt=attempt, reason=str(error))
            if attempt == ATTEMPTS:
                raise
        else:
            return


def short_folder(data: str) -> Path:
    """A new folder below the mesh's data folder, or below the host's temporary one when that path
    is too long for sockets.

    What a killed search of the same mesh left there goes.
    """
    wanted = Path(data).absolute() / "ray"
    name = hashlib.sha256(str(wanted).encode()).hexdigest()[:8]
    home = (
        wanted
        if len(str(wanted)) + 10 <= LONGEST_FOLDER
        else Path(tempfile.gettempdir()) / f"ray-{name}"
    )
    shutil.rmtree(home, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix="r", dir=_made(home)))


def importable(network: Any) -> bool:
    """Whether another process can import a network's class; one that stands in a definition file
    cannot.
    """
    module = str(getattr(network, "path", "") or f"{network.__module__}.x").rpartition(".")[0]
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _made(folder: str | Path) -> Path:
    path = Path(folder).absolute()
    path.mkdir(parents=True, exist_ok=True)
    return path


def _outcome(result: Any, rest: Candidate) -> tuple[Candidate, float, int]:
    candidate = rest | result.config
    if result.error is not None or not result.metrics:
        return candidate, float("nan"), 0
    return (
        candidate,
        float(result.metrics.get("loss", float("nan"))),
        int(result.metrics.get("epoch", 0)),
    )


def _last_line(error: Exception) -> str:
    """What a trial raised; Ray gives its whole trace as text."""
    return (str(error).strip().splitlines() or [""])[-1][:500]
