"""ImageBind, the vision and audio trunks (arXiv 2305.05665).

config.py    sizes and official arguments (no torch)
tokens.py    images, clips and spectrograms to tokens
network.py   trunks, heads, embeddings
"""
