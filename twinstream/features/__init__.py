"""From columns to a network's input arrays: one implementation for the training table and for one
request.
"""
