"""Corpora, one file each: nothing outside a corpus's file knows its names and columns."""
