"""What is refused is kept, explained, and let in by one click; never anything that nobody signed."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from twilio.request_validator import RequestValidator

from channels_twilio import quarantine, views
from channels_twilio.diagnosis import diagnose
from channels_twilio.models import QuarantinedRequest, StatusEvent, TwilioAccount
from channels_twilio.quarantine import expire_quarantine
from channels_twilio.rate_limit import RateLimit
from channels_twilio.release import NotReleased, release
from conversations.models import Conversation, Message, Workspace

from .outbound import outbound
from .signed_requests import ACCOUNT_SID, AUTH_TOKEN, BASE_URL, FORM, INBOUND, STATUS, message, post

ASKED = "asked.example.com"  # the host that requests come to, which nobody has configured
OTHER_SID, OTHER_TOKEN = "AC" + "0" * 32, "e" * 32


def refused(client: Client, *, signed_url: str = "", target: str = INBOUND, token: str = AUTH_TOKEN, **params: str):
    """A request that is signed for `signed_url` and comes to `target`, to be refused. Returns what is kept of it."""
    body = urlencode(message(**params))
    signature = RequestValidator(token).compute_signature(signed_url or BASE_URL + target, QueryDict(body))
    headers = {"X-Twilio-Signature": signature, "Host": ASKED}
    response = client.generic("POST", target, body, content_type=FORM, headers=headers)
    assert response.status_code == 403
    return QuarantinedRequest.objects.latest("pk")


def unsigned(client: Client, address: str = "127.0.0.1", **params: str) -> int:
    body = urlencode(message(**params))
    return client.generic("POST", INBOUND, body, content_type=FORM, REMOTE_ADDR=address).status_code


@pytest.fixture
def operator(admin_client, settings):
    settings.STORAGES |= {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
    return admin_client


@pytest.fixture
def other(workspace):
    return TwilioAccount.objects.create(workspace=workspace, account_sid=OTHER_SID, auth_token=OTHER_TOKEN)


def click(operator: Client, row: QuarantinedRequest):
    page = reverse("admin:channels_twilio_quarantinedrequest_release_request", args=[row.pk])
    return operator.post(page, {"_form_submitted": "on"}, headers={"HX-Request": "true"})


def test_a_refused_request_is_kept_as_it_came_and_not_processed(client, sms):
    row = refused(client, signed_url="https://evil.example.com/", target=INBOUND + "?x=%7E", Body="Olá\0")
    assert bytes(row.body) == urlencode(message(Body="Olá\0")).encode()
    assert (row.account_sid, row.path, row.host, row.scheme) == (ACCOUNT_SID, INBOUND + "?x=%7E", ASKED, "http")
    assert row.content_type == FORM
    assert row.signature
    assert not Message.objects.exists()


def test_what_names_no_account_of_ours_is_kept_only_with_a_signature(client, sms):
    assert unsigned(client, AccountSid=OTHER_SID) == 403
    assert not QuarantinedRequest.objects.exists()
    assert unsigned(client) == 403
    assert QuarantinedRequest.objects.get().account_sid == ACCOUNT_SID
    assert refused(client, AccountSid=OTHER_SID).account_sid == OTHER_SID


@pytest.mark.parametrize(
    ("signed_url", "base_url", "target_differs"),
    [
        ("http://bot.example.com" + INBOUND, "http://bot.example.com", False),
        ("https://asked.example.com" + INBOUND, "https://asked.example.com", False),
        ("https://asked.example.com:443" + INBOUND, "https://asked.example.com", False),
        ("http://asked.example.com" + INBOUND, "http://asked.example.com", False),
        (BASE_URL + INBOUND.rstrip("/"), "", True),
        ("https://asked.example.com" + INBOUND.rstrip("/"), "https://asked.example.com", True),
    ],
)
def test_the_diagnosis_names_the_url_that_was_signed(client, sms, signed_url, base_url, target_differs):
    found = diagnose(refused(client, signed_url=signed_url))
    assert found
    assert (found.url, found.base_url, found.target_differs) == (signed_url, base_url, target_differs)


def test_a_query_that_was_added_on_the_way_is_found(client, sms):
    found = diagnose(refused(client, signed_url=BASE_URL + INBOUND, target=INBOUND + "?via=proxy"))
    assert found
    assert found.target_differs


def test_a_path_prefix_that_is_not_there_is_found(client, sms, settings):
    settings.PUBLIC_BASE_URL = "https://bot.example.com/bots"
    found = diagnose(refused(client, signed_url="https://bot.example.com" + INBOUND))
    assert found
    assert found.base_url == "https://bot.example.com"


def test_a_url_that_was_mended_since_needs_only_the_click(client, whatsapp, sms, settings):
    row = refused(client, signed_url="https://new.example.com" + INBOUND)
    assert diagnose(row) is None
    settings.PUBLIC_BASE_URL = "https://new.example.com"
    found = diagnose(row)
    assert found
    assert (found.base_url, found.target_differs) == ("", False)


@pytest.mark.parametrize("host", ["", "a b", "x:99999", "[::1", "a@b", "é", "a/b?c#d"])
def test_a_host_that_is_none_breaks_no_diagnosis(client, sms, host):
    row = refused(client, signed_url="https://evil.example.com/")
    row.host = host
    assert diagnose(row) is None


def test_one_click_stores_the_message_once(operator, client, sms):
    row = refused(client, signed_url="http://asked.example.com" + INBOUND)
    QuarantinedRequest.objects.update(received_at=timezone.now() - timedelta(hours=30))

    response = click(operator, row)

    assert response.headers["HX-Redirect"].endswith(f"/{row.pk}/change/")
    assert Message.objects.get().text == "Hi there"
    assert Conversation.objects.get().last_inbound_at < timezone.now() - timedelta(hours=29)
    assert QuarantinedRequest.objects.get().released_at
    click(operator, row)
    assert Message.objects.count() == 1


def test_a_message_that_came_meanwhile_is_not_stored_twice(client, sms):
    row = refused(client, signed_url="http://asked.example.com" + INBOUND)
    post(client, INBOUND, message())
    assert release(row).base_url == "http://asked.example.com"
    assert Message.objects.count() == 1


def test_a_status_is_released_to_its_message(client, sms):
    mine = outbound(sms)
    sid = "SM" + "7" * 32
    target = f"{STATUS}?m={mine.pk}"
    row = refused(
        client, signed_url=f"http://asked.example.com{target}", target=target, MessageSid=sid, MessageStatus="delivered"
    )
    release(row)
    mine.refresh_from_db()
    assert (mine.external_id, mine.delivery_status) == (sid, "delivered")
    with pytest.raises(NotReleased):
        release(row)
    assert StatusEvent.objects.count() == 1


def test_a_query_that_nobody_signed_names_no_message(client, sms):
    mine, news = outbound(sms), {"MessageSid": "SM" + "7" * 32, "MessageStatus": "delivered", "AccountSid": ACCOUNT_SID}
    signature = RequestValidator(AUTH_TOKEN).compute_signature(BASE_URL + STATUS, news)
    headers = {"X-Twilio-Signature": signature}
    forged = client.generic("POST", f"{STATUS}?m={mine.pk}", urlencode(news), content_type=FORM, headers=headers)
    assert forged.status_code == 403
    release(QuarantinedRequest.objects.get())
    mine.refresh_from_db()
    assert (mine.external_id, mine.delivery_status) == ("", "queued")
    assert StatusEvent.objects.get().message_id is None


def test_a_token_entered_at_the_wrong_account_of_the_workspace_is_accepted_from_then_on(operator, client, sms, other):
    row = refused(client, token=OTHER_TOKEN)
    found = diagnose(row)
    assert found
    assert (found.owner, found.account.account_sid) == (other, ACCOUNT_SID)

    click(operator, row)

    account = TwilioAccount.objects.get(account_sid=ACCOUNT_SID)
    assert (account.auth_token, account.next_auth_token) == (AUTH_TOKEN, OTHER_TOKEN)
    assert post(client, INBOUND, message(MessageSid="SM2"), token=OTHER_TOKEN).status_code == 200


def test_the_token_of_another_tenant_is_not_tried(client, sms):
    stranger = Workspace.objects.create(name="Other", slug="other")
    TwilioAccount.objects.create(workspace=stranger, account_sid=OTHER_SID, auth_token=OTHER_TOKEN)
    assert diagnose(refused(client, token=OTHER_TOKEN)) is None


@pytest.mark.parametrize(
    "forged",
    [
        {"token": "f" * 32},
        {"token": ""},
        {"AccountSid": OTHER_SID},
        {"signed_url": "https://evil.example.com" + INBOUND},
    ],
)
def test_what_is_valid_in_no_way_is_never_released(operator, client, sms, forged):
    row = refused(client, **forged)
    page = operator.get(reverse("admin:channels_twilio_quarantinedrequest_change", args=[row.pk]))
    assert b"cannot be released" in page.content
    assert b"release_request" not in page.content

    click(operator, row)
    with pytest.raises(NotReleased):
        release(row)

    assert not Message.objects.exists()
    row.refresh_from_db()
    assert row.released_at is None


def test_an_unsigned_request_is_never_released(operator, client, sms):
    unsigned(client)
    click(operator, QuarantinedRequest.objects.get())
    assert not Message.objects.exists()


def test_a_request_that_was_changed_in_quarantine_is_not_released(client, sms):
    row = refused(client, signed_url="http://asked.example.com" + INBOUND)
    row.body = bytes(row.body).replace(b"Hi", b"Ho")
    with pytest.raises(NotReleased):
        release(row)


def test_a_signed_request_that_is_no_message_stays(operator, client, sms):
    row = refused(client, signed_url="http://asked.example.com" + INBOUND, MessageSid="")
    click(operator, row)
    row.refresh_from_db()
    assert row.released_at is None


def test_only_who_may_change_it_may_release_it(client, sms, operator):
    row = refused(client, signed_url="http://asked.example.com" + INBOUND)
    user = User.objects.create_user("rita", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_quarantinedrequest"))
    client.force_login(user)
    assert client.get(reverse("admin:channels_twilio_quarantinedrequest_change", args=[row.pk])).status_code == 200

    assert click(client, row).status_code == 403

    assert not Message.objects.exists()
    user.user_permissions.add(Permission.objects.get(codename="change_quarantinedrequest"))
    click(client, row)
    assert Message.objects.exists()


def test_nothing_is_released_by_a_get_or_without_a_csrf_token(client, sms, admin_user, operator):
    row = refused(client, signed_url="http://asked.example.com" + INBOUND)
    operator.get(
        reverse("admin:channels_twilio_quarantinedrequest_release_request", args=[row.pk]),
        headers={"HX-Request": "true"},
    )
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin_user)
    assert click(strict, row).status_code == 403
    assert not Message.objects.exists()


def test_the_screen_tells_what_to_set_and_shows_no_token(operator, client, sms, other):
    row = refused(client, signed_url="http://asked.example.com" + INBOUND)
    pages = [
        reverse("admin:channels_twilio_quarantinedrequest_changelist"),
        reverse("admin:channels_twilio_quarantinedrequest_change", args=[row.pk]),
    ]
    contents = [operator.get(page).content.decode() for page in pages]
    assert "PUBLIC_BASE_URL=http://asked.example.com" in contents[1]
    assert "release_request" in contents[1]
    assert not any(token in content for token in (AUTH_TOKEN, OTHER_TOKEN) for content in contents)


# --- Bounds -------------------------------------------------------------------------------------------------------


def test_the_newest_of_each_account_are_kept_and_a_flood_under_one_name_drops_none_of_another(
    client, sms, other, monkeypatch
):
    monkeypatch.setattr(quarantine, "PER_ACCOUNT", 3)
    monkeypatch.setattr(quarantine, "OF_STRANGERS", 2)
    first = refused(client, token="f" * 32, AccountSid=OTHER_SID)
    rows = [refused(client, token="f" * 32) for _ in range(5)]
    strangers = [refused(client, AccountSid=f"AC{n:032}") for n in range(1, 5)]
    kept = set(QuarantinedRequest.objects.values_list("pk", flat=True))
    assert kept == {first.pk, *(row.pk for row in rows[-3:]), *(row.pk for row in strangers[-2:])}


def test_there_is_a_limit_in_all(client, sms, monkeypatch):
    monkeypatch.setattr(quarantine, "IN_ALL", 2)
    rows = [refused(client, token="f" * 32, AccountSid=sid) for sid in (ACCOUNT_SID, OTHER_SID, OTHER_SID)]
    assert list(QuarantinedRequest.objects.order_by("pk")) == rows[1:]


def test_what_is_too_large_is_refused_and_not_kept(client, sms):
    assert unsigned(client, Body="x" * quarantine.MAX_BODY) == 403
    headers = {"X-Twilio-Signature": "x" * 201}
    assert client.generic("POST", INBOUND, "a=b", content_type=FORM, headers=headers).status_code == 403
    target = INBOUND + "?x=" + "y" * 2000
    assert client.generic("POST", target, urlencode(message()), content_type=FORM).status_code == 403
    assert not QuarantinedRequest.objects.exists()


def test_a_flood_is_no_flood_of_writes(client, sms, monkeypatch):
    monkeypatch.setattr(quarantine, "WRITES", RateLimit(per_address=3, overall=100))
    assert [unsigned(client) for _ in range(10)] == [403] * 10
    assert QuarantinedRequest.objects.count() == 3


def test_a_table_that_is_not_there_fails_no_refusal(client, sms):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE channels_twilio_quarantinedrequest RENAME TO nowhere")
        assert unsigned(client) == 403
        cursor.execute("ALTER TABLE nowhere RENAME TO channels_twilio_quarantinedrequest")


def test_it_is_forgotten_after_a_while(client, sms):
    old, new = refused(client, token="f" * 32), refused(client, token="f" * 32)
    QuarantinedRequest.objects.filter(pk=old.pk).update(received_at=timezone.now() - quarantine.KEPT_FOR)
    expire_quarantine.handler()
    assert QuarantinedRequest.objects.get() == new


# --- How often one may be refused ---------------------------------------------------------------------------------


@pytest.fixture
def few(monkeypatch):
    limit = RateLimit(per_address=3, overall=5)
    monkeypatch.setattr(views, "REFUSALS", limit)
    return limit


def test_who_is_refused_too_often_is_told_to_wait_and_leaves_no_trace(client, sms, few):
    assert [unsigned(client) for _ in range(5)] == [403] * 3 + [429] * 2
    response = client.post(INBOUND, {})
    assert 1 <= int(response["Retry-After"]) <= 20
    assert QuarantinedRequest.objects.count() == 3


def test_what_twilio_signs_is_never_held_up_also_not_from_the_same_address(client, sms, few):
    while unsigned(client) != 429:
        pass
    answers = [post(client, INBOUND, message(MessageSid=f"SM{n}")).status_code for n in range(10)]
    assert answers == [200] * 10
    assert unsigned(client) == 429  # and what was signed has bought nothing


def test_many_addresses_share_a_limit_and_one_uses_up_no_more_than_its_own(client, sms, few):
    assert [unsigned(client, "10.0.0.1") for _ in range(9)].count(403) == 3
    assert [unsigned(client, f"10.0.1.{n}") for n in range(9)].count(403) == 2


def test_addresses_without_end_take_no_memory_without_end():
    limit = RateLimit(per_address=1, overall=10)
    for n in range(10_000):
        limit.take(str(n))
    assert len(limit._addresses) <= 4096
    assert limit.take("another") > 0


def test_a_minute_brings_all_of_it_back(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("channels_twilio.rate_limit.time.monotonic", lambda: now[0])
    limit = RateLimit(per_address=3, overall=100)
    assert [limit.take("a") for _ in range(4)] == [0, 0, 0, 20]
    now[0] += 20
    assert [limit.take("a") for _ in range(2)] == [0, 20]
    now[0] += 600
    assert [limit.take("a") == 0 for _ in range(4)] == [True] * 3 + [False]
