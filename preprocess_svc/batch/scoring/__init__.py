"""Batch scoring: a table of questions to predictions, as serving would have answered each at its
moment. A process of its own, started by `twinstream score`.
"""

# Open in this order:
#
# | module | knows |
# |---|---|
# | `job.py` | the stages, one after the other |
# | `origin.py` | which epoch and which model: as the predictor would choose |
# | `spine.py` | a table's files, cut into parts of rows |
# | `asking.py` | rows to questions, by the rules of a request; bad rows aside |
# | `scoring.py` | one part's answers to features, predictions and a file |
# | `files.py` | tables on a local disk or on S3 |
# | `output.py` | scores that are whole or not there, and what may be overwritten |
# | `hive.py` | a table of the metastore over them |
#
# What views would have answered is `training_sets.view_joins`: one rule for training and scoring.
