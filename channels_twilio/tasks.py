"""The tasks of this app, each declared at its handler. The queue imports this file to learn of them."""

from .quarantine import expire_quarantine

__all__ = ["expire_quarantine"]
