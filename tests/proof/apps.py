import os

from django.apps import AppConfig


class ProofConfig(AppConfig):
    """Puts the mutant that `PROOF_MUTANT` names, if any, into this process and all that are forked from it."""

    name = "tests.proof"

    def ready(self) -> None:
        from .mutants import MUTANTS

        if name := os.environ.get("PROOF_MUTANT"):
            MUTANTS[name].apply()
