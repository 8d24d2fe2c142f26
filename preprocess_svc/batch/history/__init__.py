"""All rows that ever counted: one Hive table a source, one partition an epoch."""

# Rows come from files (pinned version, checksum, the decoder of live records) and from the log
# between two cuts. Of one id one row stays, whichever way it came.
#
# Open in this order:
#
# | module | knows |
# |---|---|
# | `rows.py` | the columns of a row between Spark and Arrow |
# | `read_files.py` | files to rows, in Python workers; a bad row or file costs itself alone |
# | `file_rows.py` | one file to rows, in parts of bounded size; pure but for the file |
# | `bad_rows.py` | rows that do not count, on their way to the dead letters |
# | `reading_marks.py` | which file was being read when a process died |
# | `read_log.py` | packs between two cuts to rows; the first writer of a raw offset counts |
# | `table.py` | one row an id; each attempt its own path, which the table's partition points to |
# | `map_files.py` | the history's files read in the workers, for a fold |
#
# Nothing is overwritten: an attempt that died leaves objects behind, never half an epoch.
