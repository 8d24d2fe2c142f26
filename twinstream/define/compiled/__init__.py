"""Compiled loops over the cells of a column of text."""
