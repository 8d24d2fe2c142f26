"""A view: per key, features over one source in windows of event time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from twinstream.define.aggregates import Declared, Feature
from twinstream.define.key_length import check_key
from twinstream.define.location import did_you_mean, here, refuse, shown
from twinstream.define.names import check_column, check_thing
from twinstream.define.plain import listed
from twinstream.define.recording import Condition, record_condition
from twinstream.define.source import Source


class Output(NamedTuple):
    """One answer of a view: `name` is `<feature>_<window>`; `width` numbers, more than one for
    last_k and count_by.
    """

    name: str
    feature: Feature
    window: str
    width: int


def _outputs_of(feature: Feature) -> list[Output]:
    """One for each of its windows."""
    width = feature.aggregate.width
    return [Output(f"{feature.name}_{w}", feature, w, width) for w in feature.windows]


class View:
    """Declares a view. `by`: field or fields of the source that are its key; `where`:
    which records exist for it at all.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        *,
        by: str | tuple[str, ...],
        features: Mapping[str, Declared],
        where: Condition | str | None = None,
    ) -> None:
        self.at = here()
        self.name = check_thing(name, "view")
        if not isinstance(source, Source):
            refuse(
                f"view {name!r} is over {shown(source)}, not on a source",
                "give the Source that it aggregates",
            )
        self.source = source
        self.by = self._checked_key(listed(by, f"by= of view {name!r}"))
        self.features = self._bound(features)
        what = f"where= of view {name!r}"
        self.where = record_condition(where, source.fields, source.owner, what, self.at)
        self.outputs = [output for f in self.features for output in _outputs_of(f)]
        self._check_outputs()

    def output(self, name: str) -> Output:
        """The output of that name; refuses an unknown one."""
        found = next((o for o in self.outputs if o.name == name), None)
        return found or refuse(
            f"view {self.name!r} has no output {name!r}",
            did_you_mean(name, [o.name for o in self.outputs]),
        )

    def canonical(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "source": self.source.name,
            "by": list(self.by),
            "where": None if self.where is None else str(self.where),
            "features": [feature.canonical() for feature in self.features],
        }

    def __repr__(self) -> str:
        return f"View({self.name!r})"

    def _checked_key(self, by: tuple[str, ...]) -> tuple[str, ...]:
        if not by:
            refuse(
                f"view {self.name!r} has no key",
                f"name a field of {self.source.owner}: by={self.source.key!r}",
            )
        for name in by:
            if not isinstance(name, str) or name not in self.source.fields:
                refuse(
                    f"key {shown(name)} of view {self.name!r} is not in {self.source.owner}",
                    did_you_mean(name, self.source.fields),
                )
        if len(set(by)) < len(by):
            refuse(f"view {self.name!r} names a key field twice: {by}", "name each once")
        check_key(by, self.source.fields, f"the key of view {self.name!r}")
        return by

    def _bound(self, features: Mapping[str, Declared]) -> list[Feature]:
        if not isinstance(features, Mapping) or not features:
            refuse(
                f"view {self.name!r} has no features",
                'give features={"delay": mean("delay_minutes").over("1h")}',
            )
        bound = []
        for name, declared in features.items():
            if not isinstance(declared, Declared):
                refuse(
                    (
                        f"feature {shown(name)} of view {self.name!r} is {shown(declared)}, "
                        "no aggregate"
                    ),
                    'write mean("delay_minutes").over("1h")',
                )
            name = check_column(name, "feature", declared.at)  # noqa: PLW2901
            bound.append(declared.bind(name, self.source.fields, self.source.owner))
        return bound

    def _check_outputs(self) -> None:
        names = [output.name for output in self.outputs]
        for output in self.outputs:
            if names.count(output.name) > 1:
                refuse(
                    f"view {self.name!r} has two outputs {output.name!r}",
                    "give one of the features another name",
                )
