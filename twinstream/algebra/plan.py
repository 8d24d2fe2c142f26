"""A view as slots and tables: what each hop keeps of a record, and which words answer which output."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from twinstream.algebra import buckets, layout, windows
from twinstream.algebra.aggregates import declaration
from twinstream.algebra.slots import Column, Declaration, Slot

Words = npt.NDArray[np.int64]


class Tables(NamedTuple):
    """A plan for the compiled loops; `hops` has the rows 0..3, the other tables are cut by its ranges."""

    hops: Words  # [4, 7]: fixed first, last; sparse first, last; fixed words; windows first, last (empty: hop not used)
    fixed: Words  # [n, 4]: op, column, offset in the row, words
    sparse: Words  # [n, 2]: op, column
    windows: Words  # [n, 3], shortest first within a hop: microseconds, outputs first, last
    outputs: Words  # [n, 8]: form, three places (offset in the row, or number of the sparse array), width, first column of the answer, parameter as a fraction
    divisors: npt.NDArray[np.float64]  # [n]
    buckets: npt.NDArray[np.float64]  # [IDS]: what stands for each bucket id, then NaN


@dataclass(frozen=True)
class PlannedOutput:
    """One answer of a view: `width` floats from column `at` on."""

    name: str
    feature: str
    window: str
    declared: Declaration
    divisor: int
    at: int

    @property
    def width(self) -> int:
        return self.declared.width


@dataclass(frozen=True)
class HopLayout:
    """What a row of this hop holds: fixed slots with their offsets in the row, sparse slots in order; `windows` shortest first."""

    hop: int
    fixed: tuple[tuple[Slot, int], ...]
    sparse: tuple[Slot, ...]
    windows: tuple[str, ...]

    @property
    def words(self) -> int:
        """Words of all fixed slots."""
        return sum(slot.words for slot, _ in self.fixed)

    def place(self, slot: Slot) -> int:
        """Offset of a fixed slot in the row, or number of a sparse one."""
        return (
            self.sparse.index(slot)
            if slot.sparse
            else next(at for s, at in self.fixed if s == slot)
        )


class ViewPlan:
    """How a view is kept and answered. Built once a view; `outputs` in the view's order, `n_out` floats a read."""

    def __init__(self, view: Any) -> None:
        self.view = view
        self.outputs = _outputs(view)
        self.n_out = sum(output.width for output in self.outputs)
        self.hops = tuple(
            _hop(hop, self.outputs)
            for hop in range(4)
            if any(windows.hop_of(o.window) == hop for o in self.outputs)
        )
        self.columns: tuple[Column, ...] = tuple(
            dict.fromkeys(slot.column for hop in self.hops for slot in _slots(hop))
        )
        self.windows = tuple(window for hop in self.hops for window in hop.windows)
        self.tables = _tables(self)
        self.digest = hashlib.sha256(self._canonical().encode()).hexdigest()

    @property
    def names(self) -> list[str]:
        """A name for each float of an answer; those of a wide output end in `[0]`, `[1]`, ..."""
        return [
            name
            for o in self.outputs
            for name in ([o.name] if o.width == 1 else [f"{o.name}[{i}]" for i in range(o.width)])
        ]

    @property
    def tells_ties(self) -> bool:
        """Whether a record's position, which orders those of one moment, decides any byte of a state."""
        return any(slot.op in layout.MOMENTS for hop in self.hops for slot, _ in hop.fixed)

    @property
    def bytes_a_record(self) -> int:
        """Most bytes that the states of one record take, besides its key."""
        return 8 * sum(layout.HEADER + hop.words + 2 * len(hop.sparse) for hop in self.hops)

    def layout(self, hop: int) -> HopLayout:
        """The row layout of a hop in use."""
        return next(layout for layout in self.hops if layout.hop == hop)

    def _canonical(self) -> str:
        """Everything that decides bytes or answers."""
        rows = [f"{h.hop}: {'; '.join(slot.text for slot in _slots(h))}" for h in self.hops]
        answers = [
            f"{o.name} {o.window} {o.declared.form} {o.declared.parameter} {o.divisor}"
            for o in self.outputs
        ]
        return "\n".join([f"{self.view.by} where {self.view.where}", *rows, *answers])


def _slots(hop: HopLayout) -> tuple[Slot, ...]:
    return (*(slot for slot, _ in hop.fixed), *hop.sparse)


def _outputs(view: Any) -> tuple[PlannedOutput, ...]:
    """One for each feature and window, in the order of the definition."""
    found: list[PlannedOutput] = []
    for feature in view.features:
        aggregate = feature.aggregate
        declared = declaration(aggregate.kind, aggregate.field, aggregate.where, aggregate.params)
        divisor = 10 ** (declared.power * _places(view, aggregate.field))
        for window in feature.windows:
            at = found[-1].at + found[-1].width if found else 0
            found.append(
                PlannedOutput(
                    f"{feature.name}_{window}", feature.name, window, declared, divisor, at
                )
            )
    return tuple(found)


def _places(view: Any, of: Any) -> int:
    """Decimal places of a field's stored integers."""
    return (
        int(view.source.fields[of].places) if isinstance(of, str) else int(getattr(of, "places", 0))
    )


def _hop(hop: int, outputs: tuple[PlannedOutput, ...]) -> HopLayout:
    """The slots of all outputs of a hop, each once, in the order in which they are first needed."""
    mine = [o for o in outputs if windows.hop_of(o.window) == hop]
    slots = tuple(dict.fromkeys(slot for o in mine for slot in o.declared.slots))
    at, fixed = layout.HEADER, []
    for slot in slots:
        if not slot.sparse:
            fixed.append((slot, at))
            at += slot.words
    lengths = sorted({o.window for o in mine}, key=lambda w: (windows.length_us(w), w))
    return HopLayout(hop, tuple(fixed), tuple(s for s in slots if s.sparse), tuple(lengths))


def _tables(plan: ViewPlan) -> Tables:
    hops = np.zeros((4, 7), np.int64)
    fixed: list[tuple[int, ...]] = []
    sparse: list[tuple[int, ...]] = []
    spans: list[tuple[int, ...]] = []
    outputs: list[tuple[int, ...]] = []
    divisors: list[float] = []
    for hop in plan.hops:
        first = len(fixed), len(sparse), len(spans)
        fixed += [
            (slot.op, plan.columns.index(slot.column), at, slot.words) for slot, at in hop.fixed
        ]
        sparse += [(slot.op, plan.columns.index(slot.column)) for slot in hop.sparse]
        for window in hop.windows:
            mine = [o for o in plan.outputs if o.window == window]
            spans.append((windows.length_us(window), len(outputs), len(outputs) + len(mine)))
            outputs += [_output_row(o, hop) for o in mine]
            divisors += [float(o.divisor) for o in mine]
        hops[hop.hop] = (
            first[0],
            len(fixed),
            first[1],
            len(sparse),
            hop.words,
            first[2],
            len(spans),
        )
    return Tables(
        hops,
        _table(fixed, 4),
        _table(sparse, 2),
        _table(spans, 3),
        _table(outputs, 8),
        np.array(divisors, np.float64),
        np.append(buckets.values(), np.full(layout.IDS - buckets.size(), np.nan)),
    )


def _output_row(output: PlannedOutput, hop: HopLayout) -> tuple[int, ...]:
    a, b, c = [*(hop.place(slot) for slot in output.declared.slots), 0, 0][:3]
    q = output.declared.parameter
    return output.declared.form, a, b, c, output.width, output.at, q.numerator, q.denominator


def _table(rows: list[tuple[int, ...]], columns: int) -> Words:
    return np.array(rows, np.int64).reshape(-1, columns)
