"""Fusion: features of one or many encoders in, probabilities of emotions per clip out.

Read `inputs.py`, `network.py`, `training.py`, then the strategies in `strategies/` (table `FUSIONS`).
"""
