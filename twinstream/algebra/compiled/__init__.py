"""The hot loops, compiled by numba from plain Python. Every array is int64 and C-contiguous; a plan
comes as tables, so one compilation serves all plans.
"""
