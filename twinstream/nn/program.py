"""A trained network as an ONNX program: exported when it is trained, checked there against PyTorch
on real rows, run by ONNX Runtime.
"""

# ONNX Runtime answers one row in a tenth of eager PyTorch's time.
# A network that cannot be exported, or whose program answers differently, is served by PyTorch.

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from twinstream.errors import PermanentError
from twinstream.nn.target import Target
from twinstream.protocol.batch_shapes import SHAPES

INPUTS = ("numeric", "categorical", "sequences")
OPSET = 17
TOLERANCE = 1e-4
"""Largest difference of a program's answer from PyTorch's, as a share of max(1, |answer|)."""
SINGLE_ROWS = 64
Batch = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]


ITSELF = Target()


class NotExportableError(PermanentError, ValueError):
    """A network has no program that answers as it does."""


class Program:
    """A loaded program; safe for threads."""

    def __init__(self, data: bytes) -> None:
        """Raises NotExportableError for bytes that are not a program of a network of ours."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                data, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise NotExportableError(f"the program cannot be loaded: {str(error)[:300]}") from error
        self._names = [given.name for given in self._session.get_inputs()]
        if not set(self._names) <= set(INPUTS):
            raise NotExportableError(f"the program takes {self._names}, not {', '.join(INPUTS)}")

    def __call__(
        self,
        numeric: NDArray[np.float64],
        categorical: NDArray[np.int64],
        sequences: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """float64[n] of arrays as a network's `forward` takes them."""
        given = {"numeric": numeric, "categorical": categorical, "sequences": sequences}
        found: NDArray[np.float64] = self._session.run(
            None, {name: given[name] for name in self._names}
        )[0]
        return found


class Answering(nn.Module):
    """A network with the last step to its answer: a probability of its logit in the unit of the
    calibration, or a number in the label's own unit.
    """

    def __init__(self, network: nn.Module, *, probability: bool, target: Target = ITSELF) -> None:
        super().__init__()
        self.network, self.probability, self.target = network, probability, target

    def forward(self, numeric: Tensor, categorical: Tensor, sequences: Tensor) -> Tensor:
        """float64[n]."""
        given = self.network(numeric, categorical, sequences).double()
        found = self.target.centre + self.target.scale * given
        return torch.sigmoid(found) if self.probability else found


def export(answering: Answering, sample: Batch) -> bytes:
    """The program of a network in evaluation mode; `sample` are rows that it was not trained on,
    at least one.

    Raises NotExportableError, with the reason, when it has none that answers `sample` as the
    network does in every batch shape.
    """
    answering = answering.eval()
    try:
        data = _exported(answering, _batch(sample, 8))
    except Exception as error:
        raise NotExportableError(f"it cannot be exported: {str(error).strip()[:300]}") from error
    check(Program(data), answering, sample, SHAPES)
    return data


def check(program: Program, answering: nn.Module, sample: Batch, shapes: Sequence[int]) -> None:
    """Raises NotExportableError where a program does not answer as its network:
    in each shape, and for single rows.

    A program is one way through the network; that another way is taken for other values shows in
    other rows only.
    """
    for shape in shapes:
        for first in range(min(SINGLE_ROWS, len(sample[0])) if shape == 1 else 1):
            _compare(program, answering, _batch(sample, shape, shape + first))


def _compare(program: Program, answering: nn.Module, batch: Batch) -> None:
    rows = len(batch[0])
    with torch.inference_mode():
        wanted = answering(*(torch.from_numpy(part) for part in batch)).numpy()
    try:
        found = program(*batch)
    except Exception as error:
        raise NotExportableError(
            f"its program does not run with {rows} rows: {str(error)[:300]}"
        ) from error
    if found.shape != wanted.shape:
        raise NotExportableError(f"its program answers {found.shape}, not {wanted.shape}")
    apart = np.abs(found - wanted) / np.maximum(1, np.abs(wanted))
    if not (apart <= TOLERANCE).all():
        raise NotExportableError(
            f"its program differs from it by {apart.max():.2g} with {rows} rows"
        )


def _exported(answering: nn.Module, sample: Batch) -> bytes:
    data = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # the exporter's, of what it makes a constant: `check` sees
        torch.onnx.export(
            answering,
            tuple(torch.from_numpy(part) for part in sample),
            data,
            dynamo=False,
            input_names=list(INPUTS),
            output_names=["answer"],
            dynamic_axes={name: {0: "rows"} for name in (*INPUTS, "answer")},
            opset_version=OPSET,
        )
    return data.getvalue()


def _batch(sample: Batch, rows: int, first: int = 0) -> Any:
    """So many rows of the sample from one on, over and over if it has fewer."""
    which = np.arange(first, first + rows) % len(sample[0])
    return tuple(np.ascontiguousarray(part[which]) for part in sample)
