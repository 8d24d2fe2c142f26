"""Spark itself, as the other packages need it: the session, and manners in its workers."""

# Everything here is about the engine, nothing about epochs, rows or views.
#
# | module | knows |
# |---|---|
# | `context.py` | what every stage is given: session, settings, definition |
# | `session.py` | jars, S3A, Hive, the environment of the JVM and its Python workers |
# | `warmup.py` | one small job of each kind before the first epoch |
# | `working_folder.py` | a folder for one piece of work, cleared after a death |
# | `away.py` | an engine that does not answer, told from everything else that fails |
