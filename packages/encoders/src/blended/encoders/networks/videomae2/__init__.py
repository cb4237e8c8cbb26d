"""VideoMAEv2, a video transformer (arXiv 2303.16727).

config.py    sizes and official arguments (no torch)
network.py   clip -> features -> classes
"""
