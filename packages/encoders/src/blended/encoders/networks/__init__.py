"""The networks behind the encoders, in pure torch, under the parameter names of the official checkpoints.

    config.py       sizes and the options that all transformer blocks share (no torch)
    official.py     a table of an official constructor's arguments -> one of our configs (no torch)
    blocks.py       attention, MLP, block, cross block
    tokens.py       cutting video and spectrograms into tokens, position tables
    checkpoint.py   reading official files without unpickling, loading without gaps
    hicmae/         HiCMAE: masked autoencoder and classifier
    imagebind/      ImageBind: the vision and audio trunks
    videomae2/      VideoMAEv2

Importing this package does nothing; import the module you need.
"""
