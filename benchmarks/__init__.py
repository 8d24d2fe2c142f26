"""Figures of Twinstream beside a peer or a floor in the same run;
results with machine and commit stand in `results/`.
"""
