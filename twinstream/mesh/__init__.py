"""What every process of the mesh shares: settings, heartbeat, events, metrics, dead_letters,
object store, clock, log.
"""
