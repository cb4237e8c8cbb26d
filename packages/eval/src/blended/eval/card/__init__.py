"""The data card of a corpus: what is in it, how it sounds, what is wrong with it, how it may be used.

`DataCard` holds plain inputs; `examples` is the one function that opens recordings.
"""

from blended.eval.card.content import DataCard, Example, examples
from blended.eval.card.render import card_html, card_markdown

__all__ = ["DataCard", "Example", "card_html", "card_markdown", "examples"]
