"""The choice of a candidate: what is searched for a training, and by which engine."""

from __future__ import annotations

import msgspec
import structlog

from train_svc import search
from train_svc.backlog import Training
from train_svc.ports import Ports, Problem
from train_svc.rows import thinned
from train_svc.search import Found
from twinstream.errors import MeshError, PermanentError

log = structlog.get_logger()


def choose(
    problem: Problem,
    work: Training,
    ports: Ports,
) -> tuple[Found, float]:
    """The best candidate of the model's search space, and the share of rows that was looked at."""
    settings, space = ports.settings, ports.pipeline.model(work.training_set.model).search
    if not search.is_searched(space):
        return Found(search.fixed(space), [], search.IN_PROCESS), 0.0
    share = search.share_of_rows(len(problem.split.train), settings)
    config = msgspec.structs.replace(problem.config, max_epochs=settings.search_epochs, threads=1)
    smaller = msgspec.structs.replace(
        problem,
        split=thinned(problem.split, share, problem.config.seed),
        config=config,
    )
    wanted = search_of(work, problem.config.seed, ports)
    name = search.tuner_for(len(problem.split.train), wanted, settings)
    return searched(name, smaller, wanted, ports), share


def search_of(
    work: Training,
    seed: int,
    ports: Ports,
) -> search.Search:
    """What is searched for a training: first what the model that serves was trained with."""
    digest = work.training_set.digest
    model = ports.pipeline.model(work.training_set.model)
    wanted = search.Search(
        space=model.search,
        trials=ports.settings.candidates,
        seed=search.seed_of(seed, digest),
        first=chosen_before(work, ports),
        name=f"{model.name}-{digest[:16]}-{work.round}",
    )
    return wanted.bounded(model.search_seconds)


def chosen_before(
    work: Training,
    ports: Ports,
) -> list[search.Candidate]:
    """What the model that serves was trained with, if the space still holds it."""
    if work.champion is None:
        return []
    model = ports.pipeline.model(work.training_set.model)
    try:
        made_with = ports.models.load(work.champion, model.network).config
    except PermanentError as error:
        log.warning("champion_unreadable", reason=str(error)[:500])
        return []
    settings = made_with.training.get("config", {})
    known = {**settings, **made_with.arguments}
    candidate = {name: known[name] for name in model.search if name in known}
    return [candidate] if search.inside(model.search, candidate) else []


def searched(
    name: str,
    problem: Problem,
    wanted: search.Search,
    ports: Ports,
) -> Found:
    """What a tuner finds; when its engine falls, the search goes on in this process."""
    try:
        return ports.tuners[name].search(problem, wanted)
    except MeshError:
        raise
    except Exception as error:
        if name == search.IN_PROCESS:
            raise
        log.warning("search_engine_failed", tuner=name, reason=str(error)[:500])
        return ports.tuners[search.IN_PROCESS].search(problem, wanted)
