"""The Open Inference Protocol, version 2, as KServe, Triton and Seldon speak it."""
