"""Networks for models, by reference: a definition names one without loading PyTorch,
so only training and serving do.
"""

from __future__ import annotations

from twinstream.define.network import Network

__all__ = ["TabularNetwork"]

TabularNetwork = Network("twinstream.nn.tabular.TabularNetwork")
"""Embeddings, normalised numbers and a GRU over each sequence, into a residual MLP."""
