"""Ingest over HTTP: records and arrivals of files, answered when Kafka has them."""
