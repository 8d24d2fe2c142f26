"""What every process of the mesh shares: settings, heartbeat, events, metrics, parking, object store, clock, log."""
