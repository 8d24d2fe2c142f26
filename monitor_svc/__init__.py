"""Watches the mesh: joins late labels to predictions, tests for drift, asks for retraining,
shows it all on one page.
"""
