"""The definition language: what a user declares once, in one Python file. Knows no engine."""
