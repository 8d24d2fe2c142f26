"""The speed layer: packs of the log to partial states, within milliseconds;
it keeps nothing that it cannot read back from Kafka.
"""
