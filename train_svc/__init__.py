"""Trains models on published training sets and decides which of them answers."""
