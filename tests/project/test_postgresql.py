"""The web on PostgreSQL: whatever the database does, Twilio hears 503 in time, and 200 only for what is stored."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import psycopg
import pytest
from twilio.request_validator import RequestValidator

from tests.stand_ins.product import Product
from tests.stand_ins.servers import PostgreSQL
from tests.stand_ins.twin import ACCOUNT_SID, AUTH_TOKEN, WHATSAPP, eventually

pytestmark = pytest.mark.journey

Fault = Callable[[PostgreSQL], "contextmanager[None]"]
http = httpx.Client(timeout=20, trust_env=False, verify=False, limits=httpx.Limits(max_keepalive_connections=0))
sids = (f"SM{number:032x}" for number in itertools.count(1))


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with PostgreSQL() as server:
        yield server


@pytest.fixture(scope="module")
def web(server: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    directory = tmp_path_factory.mktemp("web")
    with Product(directory, DATABASE_URL=server.create("recado")) as product:
        product.setup()
        product.start("web")
        yield product


def post(web: Product, sid: str, *, contact: str = "whatsapp:+15550207777") -> httpx.Response:
    """An inbound webhook, signed as Twilio signs it."""
    url = f"{web.base_url}/webhooks/twilio/inbound/"
    params = {"AccountSid": ACCOUNT_SID, "MessageSid": sid, "From": contact, "To": WHATSAPP, "Body": "hello"}
    signature = RequestValidator(AUTH_TOKEN).compute_signature(url, params)
    return http.post(url, data=params, headers={"X-Twilio-Signature": signature})


def post_at_once(web: Product, count: int) -> list[httpx.Response]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: post(web, next(sids)), range(count)))


def stored(server: PostgreSQL, sid: str) -> int:
    [(count,)] = server.execute(
        f"SELECT count(*) FROM conversations_message WHERE external_id = '{sid}'", database="recado"
    )
    assert isinstance(count, int)
    return count


@contextmanager
def killed(server: PostgreSQL) -> Iterator[None]:
    server.kill()
    yield
    server.start()


@contextmanager
def frozen(server: PostgreSQL) -> Iterator[None]:
    server.pause()
    yield
    server.resume()


@contextmanager
def locked(server: PostgreSQL, how: str) -> Iterator[None]:
    with psycopg.connect(server.database("recado")) as other:
        other.execute(how)
        yield
        other.rollback()


@contextmanager
def locked_rows(server: PostgreSQL) -> Iterator[None]:
    with locked(server, "SELECT * FROM conversations_conversation FOR UPDATE"):
        yield


@contextmanager
def locked_table(server: PostgreSQL) -> Iterator[None]:
    with locked(server, "LOCK TABLE conversations_message"):
        yield


@contextmanager
def locked_queue(server: PostgreSQL) -> Iterator[None]:
    with locked(server, "LOCK TABLE queueing_job"):
        yield


@pytest.mark.parametrize("fault", [killed, frozen, locked_rows, locked_table, locked_queue])
def test_a_database_that_does_not_answer_gives_503_in_time_and_takes_the_message_later(
    web: Product, server: PostgreSQL, fault: Fault
) -> None:
    assert post(web, next(sids)).status_code == 200
    sid = next(sids)
    with fault(server):
        for _ in range(2):  # the second finds what the first has left
            refused = post(web, sid)
            assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
            assert refused.elapsed.total_seconds() < 3
    assert post(web, sid).status_code == 200
    assert stored(server, sid) == 1


def test_many_at_once_hear_503_in_time(web: Product, server: PostgreSQL) -> None:
    with frozen(server):
        answers = post_at_once(web, 12)
    assert [answer.status_code for answer in answers] == [503] * 12
    assert max(answer.elapsed.total_seconds() for answer in answers) < 3


def test_what_a_request_gave_up_is_not_left_behind_in_the_server(web: Product, server: PostgreSQL) -> None:
    """Or statements that wait for a lock would pile up until nobody can connect."""
    with locked_table(server):
        assert post(web, next(sids)).status_code == 503
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        eventually(lambda: server.execute(waiting) == [(0,)], within=3)


def test_every_webhook_after_a_restart_is_taken(web: Product, server: PostgreSQL) -> None:
    """Every pooled connection is dead by then, which is found out before a request is given one."""
    assert [answer.status_code for answer in post_at_once(web, 12)] == [200] * 12
    with killed(server):
        pass
    assert [post(web, next(sids)).status_code for _ in range(12)] == [200] * 12


def test_a_database_that_was_away_for_long_is_used_soon_after_it_is_back(web: Product, server: PostgreSQL) -> None:
    with killed(server):
        for _ in range(6):
            assert post(web, next(sids)).status_code == 503
    eventually(lambda: post(web, next(sids)).status_code == 200, within=5)


def test_the_same_message_eight_times_at_once_is_stored_once(web: Product, server: PostgreSQL) -> None:
    sid, contact = next(sids), "whatsapp:+15550208888"  # a contact who is new as well
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: post(web, sid, contact=contact).status_code, range(8)))
    assert codes == [200] * 8
    assert stored(server, sid) == 1
    jobs = f"SELECT count(*) FROM queueing_job WHERE correlation_id = '{sid}' AND task = 'process_ai_response'"
    assert server.execute(jobs, database="recado") == [(1,)]


def test_readiness_is_answered_in_time(web: Product, server: PostgreSQL) -> None:
    with frozen(server):
        response = http.get(f"{web.base_url}/readyz")
    assert response.status_code == 503
    assert response.elapsed.total_seconds() < 3
