"""Our own columns in the files of a training set, beside the inputs, whose names never begin with
`_`.
"""

AT, ID, LABEL = "_at_us", "_id", "_label"
"""The moment of the question, the canonical id of its record, and its outcome."""
