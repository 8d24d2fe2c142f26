"""The compiled loops of ingest."""
