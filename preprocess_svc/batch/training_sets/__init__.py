"""What a model learns from: questions with their outcomes, and what serving would have answered."""

# Three Spark stages: outcomes joined to questions, every view's answers as of what was known at
# the moment, rows put together by time with digest and statistics.
#
# Open in this order:
#
# | module | knows |
# |---|---|
# | `building.py` | the three stages, and the event that publishes them |
# | `outcomes.py` | which outcome belongs to a question, and when there is none |
# | `questions.py` | what a question keeps of the row that asks it |
# | `features.py` | what one view would have answered at each question |
# | `view_joins.py` | all views of a model, joined with any questions, learned from or scored |
# | `parts.py` | which file of the set a question belongs to |
# | `assembly.py` | rows in their total order, one file a part of time, their digest |
# | `tables.py` | a Hive table over each set |
# | `statistics.py` | moments and categories of the training part, for the normalisation |
#
# The same history gives the same digest, whatever the number of tasks.
