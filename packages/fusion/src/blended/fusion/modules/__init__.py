"""Fusion modules: networks that make one vector of the features of a clip, one idea a file."""
