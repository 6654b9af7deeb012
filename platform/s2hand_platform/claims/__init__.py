"""The ledger of claims, judged by the printed cells and by what was measured."""

from s2hand_platform.claims.ledger import ClaimLedger

__all__ = ["ClaimLedger"]
