"""A package, so that pytest ends the mesh of its fixtures with it, and not with the session."""
