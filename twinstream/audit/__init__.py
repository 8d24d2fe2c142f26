"""The audit of the seam: every key of every serving view against a from-scratch fold of all files
and the whole log.
"""
