"""Where the states of a serving view are kept: one module per engine."""
