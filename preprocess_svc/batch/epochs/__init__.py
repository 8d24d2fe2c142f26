"""One epoch after the other: what is next, and doing it."""

# `next_step` says from the topics alone what is due. The loop does it through its ports. `landing`
# is the long step: files and logs up to the cut into the history, then all views folded.
#
# Open in this order:
#
# | module | knows |
# |---|---|
# | `plan.py` | what decides about epochs, and the steps that there are |
# | `seen.py` | all that the topics said: the only memory |
# | `next_step.py` | which step is due; pure, so a restart in any phase goes on where it was |
# | `loop.py` | learn, do the one step, publish; what a failed step costs |
# | `landing.py` | one epoch: adopt what is decided, or read, fold and decide |
# | `appending.py` | rows of files and logs to new paths of the history, patiently |
# | `folds.py` | which views are folded on their base, and which whole |
# | `decisions.py` | what an epoch is made of, decided once by a conditional put; pure rules beside |
# | `lease.py` | which of several processes is at work, over all hosts |
# | `retention.py` | which epochs' objects are deleted |
# | `ports.py` | what all of these need of the world |
# | `engine.py` | the ports, real |
# | `lock.py` | one process of a data folder at a time |
#
# It stands on `history`, `folding` and `training_sets`, and none of them on it.
