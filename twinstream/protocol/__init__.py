"""Rules that several services must share, each written once: pure, without an engine and without
I/O.
"""
