"""The serving view: base and partials in LMDB, states and progress in one transaction;
read it with `reader.ViewReader`.
"""
