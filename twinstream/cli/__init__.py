"""The command `twinstream`: runs an embedded mesh, or drives a real one, from a terminal or a
script.
"""
