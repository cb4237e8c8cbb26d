"""Toy clips, corpora, problems and trials: what the tests of every room, and some benchmarks, share."""
