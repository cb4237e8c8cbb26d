"""The networks behind the encoders, in pure torch, under the parameter names of the official checkpoints.

    config.py       how large VideoMAEv2, ImageBind and speech networks are, and what blocks share (no torch)
    blocks.py       tokens, position tables, attention, MLP, block, cross block
    checkpoint.py   reading official files without unpickling, loading without gaps
    hicmae/         HiCMAE: masked autoencoder and classifier
    imagebind.py    ImageBind: the vision and audio trunks
    videomae2.py    VideoMAEv2
    speech.py       running transformers' speech networks on clips of several lengths

Importing this package does nothing; import the module you need.
"""
