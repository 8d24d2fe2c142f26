"""Writes docs/reference from the code: `make reference`. A test says when it must be run."""
