"""The tasks of this app, each declared at its handler. The queue imports this file to learn of them."""

from .quarantine import expire_quarantine
from .reconcile import reconcile_account, reconcile_inbound

__all__ = ["expire_quarantine", "reconcile_account", "reconcile_inbound"]
