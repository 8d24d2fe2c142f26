"""The two layers that fold records into views: `batch` (Spark) and `speed` (Faust)."""
