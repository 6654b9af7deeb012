"""The card of a table's cell: the number, and everything that the store knows of where it is from.

A page that shows many cells makes ``Cards`` of the table once.
"""

from s2hand_platform.cards.card import CellCard
from s2hand_platform.cards.explaining import Cards, explain_cell

__all__ = ["Cards", "CellCard", "explain_cell"]
