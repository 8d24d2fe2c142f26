"""The history's new rows onto the base before: one file for each view and target partition."""

# Rows are lifted to states, shuffled by the partition of their key, merged with the base before in
# the order of keys, pruned to the part of time that is kept whole, and written.
#
# Open in this order:
#
# | module | knows |
# |---|---|
# | `fold_views.py` | the one Spark job that folds all views: lift, shuffle, merge, write |
# | `fold.py` | one view's part of that job |
# | `lifting.py` | rows to states by target partition, and which columns that takes |
# | `writing.py` | one file a group, and what the driver is told of it |
# | `merging.py` | streams of states merged in key order, a bounded part at a time |
# | `pruning.py` | which tiles a base keeps, and when it cannot be built on; pure |
# | `base_file.py` | the file: Parquet with `key` and `blob`, sorted; its checksum |
#
# A base that is gone or damaged is no loss: its view is folded whole from the history.
