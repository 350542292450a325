"""`immediate://`: runs a job in the process that enqueues it, right after the commit. For tests; a system check refuses it elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from .base import Backend, Doorbell


class ImmediateBackend(Backend):
    """The ring runs the job, by the worker's own claim, execution and settle."""

    runs_in_worker = False

    def ring(self, queue_name: str, job_ids: Sequence[int]) -> None:
        from ..worker import run_ready_jobs  # the worker asks its backend for a doorbell: it stands behind this module

        run_ready_jobs()

    def doorbell(self, queue_names: Sequence[str]) -> Doorbell:
        raise NotImplementedError("the immediate backend has no worker")

    def check(self) -> None:
        """Always there."""
