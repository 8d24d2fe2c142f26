"""How a mesh is run."""
