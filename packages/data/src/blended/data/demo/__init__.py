"""The demo corpus: BLEMORE-shaped clips of drawn faces and computed voices, rendered from a seed.

Read `signatures.py` (what shows which emotion), `script.py` (who performs what), `performance.py` (what
really happens in a clip), `oracle.py` (how much of it can be known at best), then the picture
(`actors`, `geometry`, `still`, `paint`), the sound (`voice`) and the loop (`render`).
"""
