"""One epoch after the other: what is next, and doing it."""

# `next_step` says from the topics alone what is due. The loop does it through its ports. `landing`
# is the long step: files and logs up to the cut into the history, then all views folded.
#
# Open in this order:
#
# | module | knows |
# |---|---|
# | `next_step.py` | which step is due; pure, so a restart in any phase goes on where it was |
# | `loop.py` | learn, do the one step, publish; what a failed step costs |
# | `landing.py` | one epoch: read, append, fold, and the manifests to publish |
# | `retention.py` | which epochs' objects are deleted |
# | `engine.py` | the ports of the loop, real |
# | `lock.py` | one process of a data folder at a time |
#
# It stands on `history`, `folding` and `training_sets`, and none of them on it.
