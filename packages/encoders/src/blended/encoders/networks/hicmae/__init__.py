"""HiCMAE, the hierarchical contrastive masked autoencoder for emotion in video with sound (arXiv 2401.05698).

config.py     the published sizes, as records (no torch)
official.py   arguments of the official constructors -> those records (no torch)
encoder.py    the encoder of one modality and the encoder that fuses two
masks.py      which tokens are hidden in pre-training
targets.py    what is to be predicted for them
loss.py       reconstruction + hierarchical contrast, a pure function
pretrain.py   the masked autoencoder
finetune.py   the classifier, also started from a pre-training checkpoint
"""
