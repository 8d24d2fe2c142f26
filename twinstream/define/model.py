"""A model: what is asked, when, what it may look at, what it should foretell, and what is good
enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from twinstream.define.expressions import Expr
from twinstream.define.fields import Timestamp
from twinstream.define.fields.base import Input
from twinstream.define.label import Label
from twinstream.define.location import did_you_mean, here, refuse, shown
from twinstream.define.names import check_column, check_thing
from twinstream.define.network import network_of
from twinstream.define.plain import Plain, listed, mapping
from twinstream.define.recording import Condition, record
from twinstream.define.search import (
    LOSSES,
    Choice,
    Range,
    budget_seconds,
    check_budget,
    check_good_enough,
    check_search,
)
from twinstream.define.source import Source
from twinstream.define.time_split import TimeSplit
from twinstream.define.view import View


class Inputs(NamedTuple):
    """Names of a model's inputs, in order: request fields `origin`, derived `hour`,
    features `by-origin.delay_1h`; sequences with their length.
    """

    numeric: list[str]
    categorical: list[str]
    sequences: list[tuple[str, int]]


class Model:
    """Declares a model.

    `spine`: source whose records are the questions; `at`: its field that says when each is asked.
    `views`: looked up by the spine's fields of the same names as the views' keys. `request`:
    the spine's fields that are inputs (default: all but id, times and unnamed use). `derive`:
    more numbers from the spine's fields. `good_enough`: bounds on metrics that a model must meet to
    be promoted. `split`: the parts for training, validation and test.
    """

    def __init__(
        self,
        name: str,
        *,
        spine: Source,
        at: str,
        views: Sequence[View],
        label: Label,
        request: Sequence[str] | None = None,
        derive: Mapping[str, Condition] | None = None,
        network: Any = "twinstream.nn.tabular.TabularNetwork",
        loss: str = "binary_cross_entropy",
        split: TimeSplit | None = None,
        search: Mapping[str, Any] | None = None,
        search_budget: str | None = None,
        good_enough: Mapping[str, float] | None = None,
    ) -> None:
        self.location = here()
        self.name = check_thing(name, "model")
        if not isinstance(spine, Source) or not isinstance(label, Label):
            refuse(
                f"model {name!r} needs spine= a Source and label= a Label",
                "give the source whose records are the questions, and the label they wait for",
            )
        self.spine, self.label = spine, label
        self.at = self._checked_at(at)
        self.views = self._checked_views(views)
        self._check_label()
        self.request = self._checked_request(request)
        self.derive: dict[str, Expr] = {
            n: self._derived(n, f) for n, f in self._named(derive, "derive").items()
        }
        self.network = network_of(network)
        self.loss = self._checked_loss(loss)
        self._own_split = self._checked_split(split)
        self.search: dict[str, Choice | Range | Plain] = check_search(
            self._named(search, "search"), self.network
        )
        self.search_budget = check_budget(search_budget, self.search)
        self.good_enough = check_good_enough(self._named(good_enough, "good_enough"))
        self._check_inputs()

    @property
    def search_seconds(self) -> float | None:
        """How long a search may take; None: the trainer's settings bound it."""
        return budget_seconds(self.search_budget)

    @property
    def own_records(self) -> bool:
        """Whether a question's own record may lie among those of its label."""
        return self.spine.name == self.label.source.name

    @property
    def inputs(self) -> Inputs:
        """What the network is given."""
        categorical = [n for n in self.request if self._takes(n) is Input.TEXT]
        numeric = [n for n in self.request if n not in categorical] + list(self.derive)
        outputs = self._outputs()
        numeric += [n for n, width in outputs if width == 1]
        return Inputs(numeric, categorical, [(n, width) for n, width in outputs if width > 1])

    def _outputs(self) -> list[tuple[str, int]]:
        """Name and width of each number, or sequence, that a view answers."""
        return [
            (f"{view.name}.{output.name}", output.width)
            for view in self.views
            for output in view.outputs
        ]

    @property
    def split(self) -> TimeSplit:
        """How its questions are split by time."""
        return self._own_split or TimeSplit()

    def canonical(self) -> dict[str, Any]:
        own: dict[str, Any] = {}
        own |= {} if self._own_split is None else {"split": self._own_split.canonical()}
        own |= {} if self.search_budget is None else {"search_budget": self.search_budget}
        return {
            **own,
            "name": self.name,
            "spine": self.spine.name,
            "at": self.at,
            "views": [v.name for v in self.views],
            "label": self.label.canonical(),
            "request": list(self.request),
            "derive": {n: str(e) for n, e in self.derive.items()},
            "inputs": self.inputs,
            "network": self.network.path,
            "loss": self.loss,
            "search": {
                n: s.canonical() if isinstance(s, (Choice, Range)) else s
                for n, s in self.search.items()
            },
            "good_enough": self.good_enough,
        }

    def __repr__(self) -> str:
        return f"Model({self.name!r})"

    def _takes(self, name: str) -> Input:
        return self.spine.fields[name].input

    def _named(self, values: Any, parameter: str) -> dict[Any, Any]:
        return mapping(values, f"{parameter}= of model {self.name!r}")

    def _check_inputs(self) -> None:
        if not any(self.inputs):
            refuse(
                f"model {self.name!r} has no inputs",
                "give it views, request fields or derived inputs",
            )

    def _checked_at(self, at: str) -> str:
        fields = self.spine.fields
        times = [n for n, t in fields.items() if isinstance(t, Timestamp) and not t.optional]
        if not isinstance(at, str) or at not in times:
            refuse(
                f"at={shown(at)} of model {self.name!r} is not a Timestamp of {self.spine.owner}",
                did_you_mean(at, times),
            )
        return str.__str__(at)

    def _checked_views(self, views: Sequence[View]) -> tuple[View, ...]:
        views = listed(views, f"views= of model {self.name!r}")
        for view in views:
            if not isinstance(view, View):
                refuse(f"views of model {self.name!r} hold {shown(view)}", "give a list of View")
            for key in view.by:
                self._check_view_key(view, key)
        names = [view.name for view in views]
        if len(set(names)) < len(names):
            refuse(
                f"model {self.name!r} has two views of one name: {', '.join(names)}",
                "give each its own name",
            )
        return views

    def _check_view_key(self, view: View, key: str) -> None:
        """A question is asked with a view's key."""
        if key not in self.spine.fields:
            refuse(
                f"view {view.name!r} is kept by {key!r}, which is not in {self.spine.owner}",
                did_you_mean(key, self.spine.fields),
            )
        if not self.spine.fields[key].same_kind(view.source.fields[key]):
            refuse(
                f"{key!r} is not of the same type in {self.spine.owner} and {view.source.owner}",
                "give both the same type",
            )

    def _checked_split(self, split: TimeSplit | None) -> TimeSplit | None:
        if split is not None and not isinstance(split, TimeSplit):
            refuse(f"split= of model {self.name!r} is {shown(split)}", "give a TimeSplit")
        return split

    def _check_label(self) -> None:
        for field in self.label.on:
            if field not in self.spine.fields:
                refuse(
                    (
                        f"label {self.label.name!r} joins on {field!r}, which is not in "
                        f"{self.spine.owner}"
                    ),
                    did_you_mean(field, self.spine.fields),
                )
            if not self.spine.fields[field].same_kind(self.label.source.fields[field]):
                refuse(
                    (
                        f"{field!r} is not of the same type in {self.spine.owner} and "
                        f"{self.label.source.owner}"
                    ),
                    "give both the same type",
                )

    def _checked_request(self, request: Sequence[str] | None) -> tuple[str, ...]:
        possible = [n for n in self.spine.fields if self._takes(n) is not Input.NONE]
        if request is None:
            return tuple(n for n in possible if n not in self.spine.id_fields)
        names: tuple[str, ...] = listed(request, f"request= of model {self.name!r}")
        for name in names:
            self._check_request_field(name, possible)
        if len(set(names)) < len(names):
            refuse(
                f"request= of model {self.name!r} names a field twice: {', '.join(names)}",
                "name each once",
            )
        return names

    def _check_request_field(self, name: Any, possible: Sequence[str]) -> None:
        if not isinstance(name, str) or name not in self.spine.fields:
            refuse(
                f"request names {shown(name)}, which is not in {self.spine.owner}",
                did_you_mean(name, possible),
            )
        if name not in possible:
            kind = self.spine.fields[name]
            part = next(iter(kind.expression.parts))
            refuse(
                f"{name!r} is a {type(kind).__name__}, which a network cannot use as it is",
                f'derive from it, as in derive={{"{part}": lambda r: r.{name}.{part}}}',
            )

    def _derived(self, name: str, function: Condition) -> Expr:
        check_column(name, "derived input")
        if name in self.spine.fields:
            refuse(
                f"derived input {name!r} has the name of a field of {self.spine.owner}",
                "give it another name",
            )
        result = record(
            function, self.spine.fields, self.spine.owner, f"derived input {name!r}", here()
        )
        if result.kind not in {"number", "bool"}:
            refuse(
                f"derived input {name!r} is {result!r}, a {result.kind}, not a number",
                "take a part of it, as in .hour or .minutes",
            )
        return result

    def _checked_loss(self, loss: str) -> str:
        if not isinstance(loss, str) or loss not in LOSSES:
            refuse(
                f"loss {shown(loss)} of model {self.name!r} is not known",
                did_you_mean(loss, LOSSES),
            )
        if (loss == "binary_cross_entropy") != self.label.binary:
            what = "a condition" if self.label.binary else "a number"
            compare = (
                "" if self.label.binary else "; compare it to get a condition, as in count() > 0"
            )
            refuse(
                f"loss {loss!r} does not fit label {self.label.name!r}, which is {what}",
                f"a condition takes binary_cross_entropy, a number does not{compare}",
            )
        return str.__str__(loss)
