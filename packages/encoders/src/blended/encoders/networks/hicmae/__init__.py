"""HiCMAE, the hierarchical contrastive masked autoencoder for emotion in video with sound (arXiv 2401.05698).

config.py     the published sizes, as records (no torch)
network.py    the encoder of one modality, the one that fuses two, the classifier
pretrain.py   the masked autoencoder
targets.py    what it has to predict, and what counts how much
"""
