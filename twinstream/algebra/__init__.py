"""The algebra of views: exact, mergeable states of int64 words, one meaning for Spark, Faust and the plain fold.

Start with `layout.py` (the words), `windows.py` (which tiles), `fold.py` (the whole meaning in plain Python).
"""
