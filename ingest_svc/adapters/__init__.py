"""Ingest's engines: Kafka for raw records, the log and events; S3 for files."""
