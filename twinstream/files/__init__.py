"""Rows of users' files: one strict reader a form, shared by the check on arrival and by the batch
layer. What cannot be read is said, row by row.
"""
