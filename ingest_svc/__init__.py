"""Ingest: raw records into the log, files into the list of accepted files;
nothing lost, nothing counted twice.
"""
