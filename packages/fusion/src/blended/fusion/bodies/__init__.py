"""Networks' bodies: what makes one vector of a clip, one idea a file."""
