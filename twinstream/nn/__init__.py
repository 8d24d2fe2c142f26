"""Networks for tabular views. Names here are references: PyTorch is imported when a network is built, not when it is named."""

from __future__ import annotations

from twinstream.define.network import Network

TabularNetwork = Network("twinstream.nn.tabular.TabularNetwork")

__all__ = ["TabularNetwork"]
