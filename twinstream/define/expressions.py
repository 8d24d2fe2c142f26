"""Expressions over a record's fields, recorded from a lambda once;
they run over Arrow columns or over one plain record.
"""

# ruff: noqa: SLF001, PLE0304  (members of its own class; __bool__ refuses)

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinstream.define import evaluation
from twinstream.define.evaluation import Cells, CellsOf, field_column
from twinstream.define.field_types import VALUE_KINDS
from twinstream.define.fields.base import FieldType
from twinstream.define.kinds import BOOL, NUMBER, ValueKind
from twinstream.define.limits import MAX_PLACES
from twinstream.define.literals import literal_of, rescaled
from twinstream.define.location import did_you_mean, refuse, shown
from twinstream.define.operations import OPERATIONS, Operation
from twinstream.define.plain import plain

_NUMBER, _BOOL = NUMBER.name, BOOL.name
MOST_NODES = 50_000
"""Parts of one expression: several thousand conditions, and an end to one that doubles itself."""
_SHOWN = 200


class Expr:
    """A node: `op` over `args`, or a field (`value` its name), or a literal (`value` in stored
    form).

    `kind` is number, string, bool, timestamp or span (of two timestamps, microseconds);
    a number is an integer scaled by 10**places. A null argument gives null;
    a sum, difference or product beyond 2**62 is null.
    """

    __slots__ = ("_steps", "args", "kind", "op", "operation", "places", "size", "value")

    def __init__(
        self,
        op: str,
        args: tuple[Expr, ...],
        kind: str,
        places: int = 0,
        value: Any = None,
    ) -> None:
        self.op, self.args, self.kind, self.places, self.value = op, args, kind, places, value
        self.size: int = 1 + sum(arg.size for arg in args)
        self.operation = _operation(op, args)
        self._steps: tuple[Expr, ...] | None = None
        if self.size > MOST_NODES:
            refuse(
                f"an expression has more than {MOST_NODES} parts",
                "split it over several features, or take .isin([...]) for many values",
            )

    @property
    def value_kind(self) -> ValueKind:
        """What its values can do."""
        return VALUE_KINDS[self.kind]

    @property
    def steps(self) -> tuple[Expr, ...]:
        """Its nodes, each after its arguments, itself the last: to be run over a stack,
        as deep as it may be.
        """
        if self._steps is None:
            found, left = [], [self]
            while left:
                node = left.pop()
                found.append(node)
                left.extend(node.args)
            self._steps = tuple(reversed(found))
        return self._steps

    # -- running

    def columns(self, batch: pa.RecordBatch | pa.Table) -> Cells:
        """Stored values and which are valid, one per row; what lies at an invalid row has no
        meaning.
        """
        return self._broadcast(lambda name: field_column(batch.column(name)), batch.num_rows)

    def scalar(self, record: Mapping[str, Any]) -> Any:
        """The stored value for one record of stored values, None for null."""
        return evaluation.of_record(self._steps or self.steps, record)

    def condition(self, batch: pa.RecordBatch | pa.Table) -> npt.NDArray[np.bool_]:
        """Rows for which the expression is true; null counts as false."""
        values, valid = self.columns(batch)
        return np.asarray(values, bool) & valid

    def holds(self, record: Mapping[str, Any]) -> bool:
        """Whether the expression is true for one record; null counts as false."""
        return self.scalar(record) is True

    def floats(self, batch: pa.RecordBatch | pa.Table) -> npt.NDArray[np.float64]:
        """float64, NaN for null, decimals in their own unit."""
        return self.floats_of(lambda name: field_column(batch.column(name)), batch.num_rows)

    def floats_of(self, cells: CellsOf, rows: int) -> npt.NDArray[np.float64]:
        """`floats` of columns that are not an Arrow batch: `cells` gives stored values and
        validity by field.
        """
        values, valid = self._broadcast(cells, rows)
        return np.where(valid, values.astype(np.float64) / float(10**self.places), np.nan)

    def number(self, record: Mapping[str, Any]) -> float:
        """`floats` for one record."""
        value = self.scalar(record)
        return float("nan") if value is None else float(value) / float(10**self.places)

    def fields(self) -> set[str]:
        """Names of the fields that it reads."""
        return {node.value for node in self.steps if node.op == "field"}

    def _broadcast(self, cells: CellsOf, rows: int) -> Cells:
        values, valid = evaluation.of_columns(self._steps or self.steps, cells)
        return np.broadcast_to(values, (rows,)), np.broadcast_to(valid, (rows,))

    # -- recording

    def __eq__(self, other: object) -> Expr:  # type: ignore[override]
        return self._compare("==", other)

    def __ne__(self, other: object) -> Expr:  # type: ignore[override]
        return self._compare("!=", other)

    def __lt__(self, other: object) -> Expr:
        return self._compare("<", other)

    def __le__(self, other: object) -> Expr:
        return self._compare("<=", other)

    def __gt__(self, other: object) -> Expr:
        return self._compare(">", other)

    def __ge__(self, other: object) -> Expr:
        return self._compare(">=", other)

    def __add__(self, other: object) -> Expr:
        return self._sum("+", other)

    def __radd__(self, other: object) -> Expr:
        return literal(other, self)._sum("+", self)

    def __sub__(self, other: object) -> Expr:
        apart = self.value_kind.difference
        if apart is not None and isinstance(other, Expr) and other.kind == self.kind:
            return Expr("-", (self, other), apart.name)
        return self._sum("-", other)

    def __rsub__(self, other: object) -> Expr:
        return literal(other, self)._sum("-", self)

    def __mul__(self, other: object) -> Expr:
        right = literal(other, self)
        self._must_be(_NUMBER, "*")
        right._must_be(_NUMBER, "*")
        if self.places + right.places > MAX_PLACES:
            refuse(
                f"{self!r} * {right!r} has {self.places + right.places} decimal places",
                f"at most {MAX_PLACES} are kept",
            )
        return Expr("*", (self, right), _NUMBER, self.places + right.places)

    def __rmul__(self, other: object) -> Expr:
        return literal(other, self) * self

    def __and__(self, other: object) -> Expr:
        return self._logic("&", other)

    def __rand__(self, other: object) -> Expr:
        return literal(other, self) & self

    def __or__(self, other: object) -> Expr:
        return self._logic("|", other)

    def __ror__(self, other: object) -> Expr:
        return literal(other, self) | self

    def __invert__(self) -> Expr:
        self._must_be(_BOOL, "~")
        return Expr("~", (self,), _BOOL)

    def __bool__(self) -> NoReturn:
        refuse(
            f"{self!r} has no truth value while a definition is read",
            "use & | ~ instead of and, or, not; split a < b < c into two comparisons",
        )

    def __hash__(self) -> int:
        return hash(str(self))

    def is_null(self) -> Expr:
        """True where the value is null; never null itself."""
        return Expr("is_null", (self,), _BOOL)

    def isin(self, values: Iterable[object]) -> Expr:
        """True where the value is one of `values`."""
        if isinstance(values, (str, Expr)) or not isinstance(values, Iterable):
            refuse(f"isin takes a list of values, not {shown(values)}", "write isin([...])")
        wanted = [self._alike(value) for value in values]
        places = max((w.places for w in wanted), default=0)
        places = max(places, self.places)
        return Expr(
            "isin",
            (_rescale(self, places),),
            _BOOL,
            0,
            frozenset(_rescale(w, places).value for w in wanted),
        )

    def _alike(self, value: object) -> Expr:
        """A literal of the kind of this expression."""
        found = literal(value, self)
        if found.op != "literal" or found.kind != self.kind:
            refuse(
                f"isin of {self!r}, a {self.kind}, cannot hold {shown(value)}",
                f"give values of its own kind: each a {self.kind}",
            )
        return found

    def __getattr__(self, name: str) -> Expr:
        if name.startswith("_"):
            raise AttributeError(name)
        parts = self.value_kind.parts
        if name not in parts:
            refuse(
                f"{self.kind} {self!r} has no part {shown(name)}",
                did_you_mean(name, (*parts, "is_null", "isin")),
            )
        return Expr(name, (self,), _NUMBER)

    def __str__(self) -> str:
        """Canonical: different expressions have different texts.

        Each operation is in brackets or ends in a name of ours.
        """
        parts: list[str] = []
        left: list[Expr | str] = [self]
        while left:
            node = left.pop()
            if isinstance(node, str):
                parts.append(node)
            else:
                left.extend(reversed(node._pieces()))
        return "".join(parts)

    def __repr__(self) -> str:
        """`str`, cut: for messages."""
        text = str(self) if self.size <= _SHOWN else f"an expression of {self.size} parts"
        return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."

    def __reduce__(self) -> tuple[Any, ...]:
        """Flat, because pickle descends into what is nested."""
        return _rebuilt, (
            tuple((n.op, len(n.args), n.kind, n.places, n.value) for n in self.steps),
        )

    def _pieces(self) -> list[Expr | str]:
        """Its text, with the texts of its arguments left to be written."""
        if self.op == "field":
            return [str(self.value)]
        if self.op == "literal":
            return [self.value_kind.written(self.value, self.places)]
        if len(self.args) == 2:
            return ["(", self.args[0], f" {self.op} ", self.args[1], ")"]
        inner = self.args[0]
        if self.op == "~":
            return ["(~", inner, ")"]
        return [inner, self._members(inner) if self.op == "isin" else f".{self.op}"]

    def _members(self, inner: Expr) -> str:
        written, places = inner.value_kind.written, inner.places
        return f".isin([{', '.join(written(v, places) for v in sorted(self.value))}])"

    def _must_be(self, kind: str, op: str) -> None:
        if self.kind != kind:
            refuse(
                f"{op} takes {kind}s, but {self!r} is a {self.kind}",
                "compare it with a value of its own kind first" if op in "&|~" else "",
            )

    def _compare(self, op: str, other: object) -> Expr:
        left, right = _aligned(self, literal(other, self), op)
        return Expr(op, (left, right), _BOOL)

    def _sum(self, op: str, other: object) -> Expr:
        left, right = _aligned(self, literal(other, self), op)
        left._must_be(_NUMBER, op)
        return Expr(op, (left, right), _NUMBER, left.places)

    def _logic(self, op: str, other: object) -> Expr:
        right = literal(other, self)
        self._must_be(_BOOL, op)
        right._must_be(_BOOL, op)
        return Expr(op, (self, right), _BOOL)


class Row:
    """A record while a lambda is recorded: `r.field` or `r["field"]`."""

    def __init__(self, fields: Mapping[str, FieldType], owner: str) -> None:
        self._fields, self._owner = fields, owner

    def __getattr__(self, name: str) -> Expr:
        if name.startswith("__"):
            raise AttributeError(name)
        return field(name, self._fields, self._owner)

    def __getitem__(self, name: str) -> Expr:
        return field(name, self._fields, self._owner)


def field(name: str, fields: Mapping[str, FieldType], owner: str) -> Expr:
    """The expression that reads a field; refuses an unknown one."""
    if name not in fields:
        refuse(f"field {shown(name)} is not in {owner}", did_you_mean(name, fields))
    kind = fields[name]
    return Expr("field", (), kind.expression.name, kind.places, str.__str__(name))


def literal(value: object, beside: Expr) -> Expr:
    """A plain value as an expression of the kind that it is compared or computed with."""
    if isinstance(value, Expr):
        return value
    text = repr(beside)
    value = plain(value, f"a literal beside {text}")
    kind, places, stored = literal_of(value, beside.value_kind, text)
    return Expr("literal", (), kind.name, places, stored)


def _operation(op: str, args: tuple[Expr, ...]) -> Operation | None:
    """What a node does with its arguments; None for a field, a literal and `is_null`."""
    if not args:
        return None
    return args[0].value_kind.parts.get(op) or OPERATIONS.get(op)


def _aligned(left: Expr, right: Expr, op: str) -> tuple[Expr, Expr]:
    """Both sides of the same kind and with the same decimal places."""
    if left.kind != right.kind:
        refuse(
            f"{left!r} {op} {right!r}: a {left.kind} and a {right.kind}",
            "both sides must be of one kind",
        )
    places = max(left.places, right.places)
    return _rescale(left, places), _rescale(right, places)


def _rescale(expr: Expr, places: int) -> Expr:
    """The same number with more decimal places."""
    if expr.places == places:
        return expr
    factor = 10 ** (places - expr.places)
    if expr.op == "literal":
        value = rescaled(expr.value, factor, places, repr(expr))
        return Expr("literal", (), expr.kind, places, value)
    return Expr(
        "*", (expr, Expr("literal", (), _NUMBER, places - expr.places, factor)), expr.kind, places
    )


def _rebuilt(steps: tuple[tuple[str, int, str, int, Any], ...]) -> Expr:
    """What `Expr.__reduce__` took apart."""
    stack: list[Expr] = []
    for op, count, kind, places, value in steps:
        first = len(stack) - count
        args = tuple(stack[first:])
        del stack[first:]
        stack.append(Expr(op, args, kind, places, value))
    return stack[0]
