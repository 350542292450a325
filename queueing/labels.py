"""The colours that operators read a job by."""

from __future__ import annotations

from .display import label
from .models import Attempt, AttemptOutcome, Job, JobStatus

STATUS_COLOURS = {
    JobStatus.SCHEDULED: "info",
    JobStatus.READY: "primary",
    JobStatus.BLOCKED: "warning",
    JobStatus.RUNNING: "info",
    JobStatus.SUCCEEDED: "success",
    JobStatus.DEAD: "danger",
}
OUTCOME_COLOURS = {
    AttemptOutcome.SUCCEEDED: "success",
    AttemptOutcome.FAILED: "danger",
    AttemptOutcome.DEFERRED: "info",
    AttemptOutcome.TIMED_OUT: "danger",
    AttemptOutcome.CRASHED: "danger",
}


def status_label(job: Job) -> str:
    """Where the job is in its life."""
    return label(job.get_status_display(), STATUS_COLOURS.get(JobStatus(job.status), ""))


def outcome_label(attempt: Attempt) -> str:
    """How the attempt ended."""
    return label(attempt.get_outcome_display(), OUTCOME_COLOURS.get(AttemptOutcome(attempt.outcome), ""))
