"""A view as slots and tables: what each hop keeps of a record, and which words answer which output."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinstream.algebra import buckets, layout, tables, windows
from twinstream.algebra.aggregates import declaration
from twinstream.algebra.slots import Column, Declaration, Slot
from twinstream.algebra.tables import Tables

Words = npt.NDArray[np.int64]


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
    """What a row of this hop holds: fixed slots with their offsets in the row, sparse slots in
    order; `windows` shortest first.
    """

    hop: int
    fixed: tuple[tuple[Slot, int], ...]
    sparse: tuple[Slot, ...]
    windows: tuple[str, ...]

    @property
    def words(self) -> int:
        """Words of all fixed slots."""
        return sum(slot.words for slot, _ in self.fixed)

    def place(self, slot: Slot) -> int:
        """Offset of a fixed slot in the row, or of a sparse one ~number."""
        if slot.sparse:
            return ~self.sparse.index(slot)
        return next(at for fixed, at in self.fixed if fixed == slot)


class ViewPlan:
    """How a view is kept and answered. Built once a view; `outputs` in the view's order, `n_out`
    floats a read.
    """

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
        """Whether a record's position, which orders those of one moment, decides any byte of a
        state.
        """
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
    sparse = tuple(slot for slot in slots if slot.sparse)
    lengths = sorted({(windows.length_us(o.window), o.window) for o in mine})
    names = tuple(window for _, window in lengths)
    return HopLayout(hop, _placed(slots), sparse, names)


def _placed(slots: tuple[Slot, ...]) -> tuple[tuple[Slot, int], ...]:
    """The fixed slots, each with its offset in the row."""
    at, placed = layout.HEADER, []
    for slot in slots:
        if not slot.sparse:
            placed.append((slot, at))
            at += slot.words
    return tuple(placed)


class _Rows:
    """The tables of a plan, row by row."""

    def __init__(self, plan: ViewPlan) -> None:
        self.plan = plan
        self.hops = np.zeros((4, 7), np.int64)
        self.fixed: list[tuple[int, ...]] = []
        self.sparse: list[tuple[int, ...]] = []
        self.windows: list[tuple[int, ...]] = []
        self.outputs: list[tuple[int, ...]] = []
        self.divisors: list[float] = []
        for hop in plan.hops:
            self._add(hop)

    def _add(self, hop: HopLayout) -> None:
        first = len(self.fixed), len(self.sparse), len(self.windows)
        self.fixed += [(*self._fed(slot), at, slot.words) for slot, at in hop.fixed]
        self.sparse += [self._fed(slot) for slot in hop.sparse]
        for window in hop.windows:
            self._add_window(hop, window)
        ranges = self.hops[hop.hop]
        ranges[[tables.FIXED, tables.SPARSE, tables.WINDOWS]] = first
        ranges[tables.FIXED_END] = len(self.fixed)
        ranges[tables.SPARSE_END] = len(self.sparse)
        ranges[tables.WINDOWS_END] = len(self.windows)
        ranges[tables.FIXED_WORDS] = hop.words

    def _fed(self, slot: Slot) -> tuple[int, int]:
        """OP and COLUMN."""
        return slot.op, self.plan.columns.index(slot.column)

    def _add_window(self, hop: HopLayout, window: str) -> None:
        mine = [o for o in self.plan.outputs if o.window == window]
        first = len(self.outputs)
        self.outputs += [_output_row(o, hop) for o in mine]
        self.divisors += [float(o.divisor) for o in mine]
        by_moment = any(o.declared.by_moment for o in mine)
        length_us = windows.length_us(window)
        self.windows.append((length_us, first, len(self.outputs), by_moment))


def _tables(plan: ViewPlan) -> Tables:
    rows = _Rows(plan)
    return Tables(
        rows.hops,
        _table(rows.fixed, 4),
        _table(rows.sparse, 2),
        _table(rows.windows, 4),
        _table(rows.outputs, 8),
        np.array(rows.divisors, np.float64),
        np.append(buckets.values(), np.full(layout.IDS - buckets.size(), np.nan)),
    )


def _output_row(output: PlannedOutput, hop: HopLayout) -> tuple[int, ...]:
    """FORM to DENOMINATOR."""
    a, b, c = [*(hop.place(slot) for slot in output.declared.slots), 0, 0][:3]
    q = output.declared.parameter
    return output.declared.form, a, b, c, output.width, output.at, q.numerator, q.denominator


def _table(rows: list[tuple[int, ...]], columns: int) -> Words:
    return np.array(rows, np.int64).reshape(-1, columns)
