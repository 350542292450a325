"""Accounts for everything: judges a run by the invariants of the product, one function for each.

The words are those of the architecture. None of these functions asks the product's own code, and what the outside world
has seen is taken from the outside world: what the twin accepted, and how its webhooks were answered.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise

from .evidence import FINISHED, Evidence, Row

Rule = Callable[[Evidence], Iterator[str]]

KNOWN_TO_PROVIDER = {"queued", "sent", "delivered", "read", "undelivered"}
NEVER_SENT = {"draft", "suppressed", "failed"}
FAILED = ("failed", "undelivered")  # the contact has not seen it
NEWS_RANK = {"sent": 1, "failed": 2, "undelivered": 2, "delivered": 3, "read": 4}
CLOCKS = timedelta(milliseconds=200)  # two transactions that look at the clock and commit in the other order


def violations(evidence: Evidence) -> list[str]:
    """Every breach of an invariant, as a sentence that begins with the rule's name. Empty: all is accounted for."""
    return [f"{rule.__name__}: {breach}" for rule in RULES for breach in rule(evidence)]


def what_was_taken_is_stored_once(evidence: Evidence) -> Iterator[str]:
    """1. A webhook answered 200 is stored, exactly once; one that the database could take is not refused."""
    stored = Counter(message["external_id"] for message in evidence.inbound)
    for sid in evidence.taken:
        if stored[sid] != 1:
            yield f"{sid} was answered 200 and is stored {stored[sid]} times"
    for message in evidence.written:
        if message["sid"] not in evidence.taken and stored[message["sid"]] != 1 and not evidence.stormy:
            yield f"{message['sid']} was never taken, and is stored {stored[message['sid']]} times"
    for exchange in evidence.exchanges:
        accepted = {200, None, 503} if evidence.stormy else {200, None}
        if exchange["kind"] == "inbound" and exchange["status"] not in accepted:
            yield f"{exchange['parameters']['MessageSid']} was answered {exchange['status']}"


def every_inbound_message_has_its_account(evidence: Evidence) -> Iterator[str]:
    """2. Answered, merged, given to a human, suppressed, or dead with a visible reason."""
    ours = {message["id"]: message for message in evidence.outbound}
    for message in evidence.inbound:
        outcome, answer = message["outcome"], ours.get(message["answer_id"])
        if outcome in ("answered", "merged"):
            if answer is None or answer["delivery_status"] == "draft":
                yield f"message {message['id']} counts as {outcome}, and no answer hangs on it"
            elif not answer["answers_seq"] <= message["seq"] < answer["seq"]:
                yield f"message {message['id']} hangs on an answer to others"
        elif outcome in ("human", "suppressed", "dead"):
            if not message["outcome_reason"]:
                yield f"message {message['id']} is {outcome} without a reason"
        else:
            yield f"message {message['id']} has no account: {outcome!r}"


def nothing_is_answered_twice(evidence: Evidence) -> Iterator[str]:
    """3. What contacts wrote is quoted by the offline assistant, so the twin alone knows how often it was answered."""
    given_up = {m["id"] for m in evidence.outbound if m["delivery_status"] in NEVER_SENT}
    outcomes = {m["external_id"]: (m["outcome"], m["answer_id"]) for m in evidence.inbound}
    asked: dict[tuple[str, str], list[str]] = defaultdict(list)
    for message in evidence.written:
        asked[message["sender"], message["body"]].append(message["sid"])
    for (contact, word), sids in asked.items():
        answers = [m for m in evidence.accepted if m["recipient"] == contact and f"the {word}." in m["body"]]
        seen = [message for message in answers if message["status"] not in FAILED]
        # Of these we may or may not know that they failed: news whose taker dies at it do not come again.
        doubtful = [m for m in answers if m["status"] in FAILED and not _is_told_of_failure(evidence, m)]
        owed = sum(
            outcome in ("answered", "merged") and answer not in given_up
            for outcome, answer in (outcomes.get(sid, ("", None)) for sid in sids)
        )
        missed = owed > len(seen) + len(doubtful) and len(sids) == 1
        if len(seen) > owed or missed:
            yield f"{word!r} should be answered {owed} times and was answered {len(seen)} times"


def _is_told_of_failure(evidence: Evidence, accepted: Row) -> bool:
    return any(
        e["parameters"]["MessageStatus"] in FAILED and e["status"] == 204 for e in evidence.news_of(accepted["sid"])
    )


def every_message_is_sent_once(evidence: Evidence) -> Iterator[str]:
    """7. At most one send of each outbound message was accepted; and what we say of it is what the provider knows."""
    accepted = defaultdict(list)
    for message in evidence.accepted:
        accepted[message["our_id"]].append(message["sid"])
    sends = Counter((message["our_id"], message["resend"]) for message in evidence.accepted)
    for (our_id, _), count in sends.items():
        if count > 1:
            yield f"message {our_id} was sent {count} times"
    for message in evidence.accepted:
        if message["resend"] and not any(
            earlier["our_id"] == message["our_id"]
            and earlier["resend"] < message["resend"]
            and earlier["status"] in FAILED
            for earlier in evidence.accepted
        ):
            yield f"message {message['our_id']} was sent again, and had not failed"
    arriving = {message["sid"] for message in evidence.accepted if message["status"] not in FAILED}
    for message in evidence.outbound:
        sids, status = accepted.pop(message["id"], []), message["delivery_status"]
        if status in KNOWN_TO_PROVIDER and message["external_id"] not in sids:
            yield f"message {message['id']} is {status}; the provider does not know it as {message['external_id']!r}"
        elif status in NEVER_SENT and not message["external_id"] and set(sids) & arriving:
            yield f"message {message['id']} is {status}, and the provider has sent it"
        elif status not in KNOWN_TO_PROVIDER | NEVER_SENT:
            yield f"message {message['id']} is still {status}"
        if status == "failed" and message["state"] != "human_handoff":
            yield f"message {message['id']} has failed, and no person was told"
    for our_id in accepted:
        yield f"a message {our_id} was sent that is not stored"


def answers_leave_in_their_order(evidence: Evidence) -> Iterator[str]:
    """3. Of one conversation, in the order of its numbers."""
    places = {message["id"]: (message["conversation_id"], message["seq"]) for message in evidence.outbound}
    by_contact = defaultdict(list)
    for message in evidence.accepted:
        if message["our_id"] in places:
            by_contact[message["recipient"]].append(places[message["our_id"]])
    for contact, order in by_contact.items():
        if order != sorted(order):
            yield f"what was sent to {contact} left in the order {order}"


def every_job_has_ended(evidence: Evidence) -> Iterator[str]:
    """8. Nothing is lost or blocked for ever: a job has succeeded, or says why not."""
    for job in evidence.jobs:
        if job["status"] not in FINISHED:
            yield f"job {job['id']} ({job['task']}) is still {job['status']}"
        elif job["status"] != "succeeded" and not job["reason"]:
            yield f"job {job['id']} ({job['task']}) is {job['status']} without a reason"


def every_attempt_is_written_down(evidence: Evidence) -> Iterator[str]:
    """5. One row for each claim, one success for each job that has succeeded, and it is the last."""
    for job in evidence.jobs:
        attempts = evidence.executions_of(job["id"])
        numbers = [attempt["number"] for attempt in attempts]
        if job["status"] in FINISHED and numbers != list(range(1, job["attempt"] + 1)):
            yield f"job {job['id']} ({job['task']}) was claimed {job['attempt']} times; written down are {numbers}"
        succeeded = [attempt["number"] for attempt in attempts if attempt["outcome"] == "succeeded"]
        if succeeded != ([job["attempt"]] if job["status"] == "succeeded" else []):
            yield f"job {job['id']} ({job['task']}) is {job['status']}, and succeeded are its attempts {succeeded}"


def only_the_last_attempt_writes(evidence: Evidence) -> Iterator[str]:
    """5. The effect of a job is there once, and it is its last attempt's: a stale worker's write changes nothing."""
    effects = defaultdict(list)
    for job in evidence.jobs:
        if job["task"] == "effect":
            effects[job["parent_id"]].append(job["subject"])
    for job in evidence.jobs:
        if job["task"] == "write_late" and effects[job["id"]] != [f"attempt:{job['attempt']}"]:
            yield f"job {job['id']} has the effects {effects[job['id']]}, and its last attempt is {job['attempt']}"


def one_at_a_time_and_the_oldest_first(evidence: Evidence) -> Iterator[str]:
    """4. Of one ordering key, no two attempts overlap, and no job starts before an older one has ended."""
    by_key = defaultdict(list)
    for attempt in evidence.attempts:
        if attempt["ordering_key"]:
            by_key[attempt["ordering_key"]].append(attempt)
    for key, attempts in by_key.items():
        for earlier, later in pairwise(attempts):  # by job, and by number
            if later["started_at"] < earlier["finished_at"] - CLOCKS:
                yield (
                    f"of {key}, job {later['job_id']}/{later['number']} started "
                    f"before job {earlier['job_id']}/{earlier['number']} had ended"
                )


def no_living_worker_is_robbed(evidence: Evidence) -> Iterator[str]:
    """Where nobody was killed or held up, no job comes back as crashed."""
    for attempt in evidence.attempts:
        if attempt["outcome"] == "crashed" and not evidence.killed:
            yield f"job {attempt['job_id']}/{attempt['number']} was taken from a worker that lives"


def no_news_is_forgotten(evidence: Evidence) -> Iterator[str]:
    """A message's status never falls behind what a callback told us and we acknowledged."""
    for message in evidence.outbound:
        told = [
            exchange["parameters"]["MessageStatus"]
            for exchange in (evidence.news_of(message["external_id"]) if message["external_id"] else [])
            if exchange["status"] and exchange["status"] < 300
        ]
        best = max(told, key=lambda word: NEWS_RANK.get(word, 0), default=None)
        if best and NEWS_RANK.get(message["delivery_status"], 0) < NEWS_RANK.get(best, 0):
            yield f"message {message['id']} is {message['delivery_status']}, and we were told that it is {best}"


def no_point_of_the_grid_is_used_twice(evidence: Evidence) -> Iterator[str]:
    """Two schedulers, or one that died in between, make one job of each point."""
    points = Counter((job["task"], job["scheduled_for"]) for job in evidence.jobs if job["scheduled_for"])
    for (task, moment), count in points.items():
        if count > 1:
            yield f"{task} was enqueued {count} times for {moment}"


RULES: tuple[Rule, ...] = (
    what_was_taken_is_stored_once,
    every_inbound_message_has_its_account,
    nothing_is_answered_twice,
    every_message_is_sent_once,
    answers_leave_in_their_order,
    every_job_has_ended,
    every_attempt_is_written_down,
    only_the_last_attempt_writes,
    one_at_a_time_and_the_oldest_first,
    no_living_worker_is_robbed,
    no_news_is_forgotten,
    no_point_of_the_grid_is_used_twice,
)
