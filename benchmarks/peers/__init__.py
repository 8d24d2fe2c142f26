"""Peers, each doing its one thing in its own plainest way."""
