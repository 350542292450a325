"""What Twilio's words mean."""

from __future__ import annotations

from urllib.parse import quote_from_bytes, urlencode

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from channels_twilio.payloads import to_destination, to_inbound, to_status
from conversations.inbox import InboundMedia, Keyword
from conversations.models import DeliveryStatus, Medium

from .signed_requests import message


def params(**changes: str) -> QueryDict:
    return QueryDict(urlencode(message(**changes)))


@pytest.mark.parametrize(
    ("to", "medium", "address"),
    [
        ("+15550100002", Medium.SMS, "+15550100002"),
        ("whatsapp:+15550100001", Medium.WHATSAPP, "+15550100001"),
        ("12345", Medium.SMS, "12345"),
    ],
)
def test_an_address_is_a_medium_and_a_number(to, medium, address):
    destination = to_destination(params(To=to))
    assert (destination.medium, destination.address) == (medium, address)


def test_a_sender_may_have_no_phone_number():
    inbound = to_inbound(params(From="whatsapp:US.13491208655302741", ExternalUserId="whatsapp:US.13491208655302741"))
    assert inbound.sender == "US.13491208655302741"
    assert inbound.raw["ExternalUserId"] == "whatsapp:US.13491208655302741"


@pytest.mark.parametrize("body", ["", " ", "\n", " a  b ", "Olá, 👋🏽", "e\u0301", "a\r\nb\t", "\ufeff", "x" * 1600])
def test_the_text_is_exactly_what_was_written(body):
    assert to_inbound(params(Body=body)).text == body


def test_an_mms_may_have_no_body_at_all():
    without = params()
    without = QueryDict("&".join(part for part in without.urlencode().split("&") if not part.startswith("Body=")))
    assert to_inbound(without).text == ""


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("image/jpeg", "image"),
        ("IMAGE/PNG", "image"),
        ("audio/ogg; codecs=opus", "audio"),
        ("video/mp4", "video"),
        ("text/vcard", "contacts"),
        ("text/x-vcard", "contacts"),
        ("text/plain", "document"),
        ("application/pdf", "document"),
        ("", "document"),
    ],
)
def test_an_mms_is_what_its_first_file_is(content_type, kind):
    assert to_inbound(params(NumMedia="1", MediaUrl0="https://x/0", MediaContentType0=content_type)).kind == kind


def test_all_ten_files_come_in_their_order():
    files = {f"MediaUrl{n}": f"https://x/{n}" for n in range(10)}
    inbound = to_inbound(params(NumMedia="10", **files))
    assert inbound.media == tuple(InboundMedia("", f"https://x/{n}") for n in range(10))


@pytest.mark.parametrize("count", ["", "-1", "x", "9999999999", "²", "1"])
def test_a_count_of_files_that_is_not_true_breaks_nothing(count):
    assert to_inbound(params(NumMedia=count)).media == ()


def test_the_media_of_an_advertisement_are_not_the_message_s_own():
    advertisement = {
        "ReferralNumMedia": "1",
        "ReferralMediaUrl": "https://ad/1",
        "ReferralMediaContentType": "image/jpeg",
        "ReferralHeadline": "Chat with us",
        "ReferralBody": "Book now",
        "ReferralSourceType": "ad",
        "ReferralSourceId": "118588094077142",
        "ReferralSourceUrl": "https://fb.me/x",
        "ReferralCtwaClid": "click",
    }
    inbound = to_inbound(params(**advertisement))
    assert inbound.media == ()
    assert inbound.details == {
        "referral": {
            "media_url": "https://ad/1",
            "media_type": "image/jpeg",
            "headline": "Chat with us",
            "text": "Book now",
            "source_type": "ad",
            "source_id": "118588094077142",
            "source_url": "https://fb.me/x",
            "click_id": "click",
        }
    }


@pytest.mark.parametrize(
    ("changes", "keyword"),
    [
        ({"Body": "STOP"}, Keyword.STOP),
        ({"Body": "unsubscribe"}, Keyword.STOP),
        ({"Body": "End"}, Keyword.STOP),
        ({"Body": "QUIT"}, Keyword.STOP),
        ({"Body": "StopAll"}, Keyword.STOP),
        ({"Body": "REVOKE"}, Keyword.STOP),
        ({"Body": "optout"}, Keyword.STOP),
        ({"Body": "Cancel"}, Keyword.STOP),
        ({"Body": " stop\n"}, Keyword.STOP),
        ({"Body": "start"}, Keyword.START),
        ({"Body": "unstop"}, Keyword.START),
        ({"Body": "please stop"}, None),
        ({"Body": "stop."}, None),
        ({"Body": "yes"}, None),
        ({"Body": "help"}, None),
        ({"Body": "PARAR", "OptOutType": "STOP"}, Keyword.STOP),
        ({"Body": "STOP", "OptOutType": "HELP"}, Keyword.HELP),
        ({"Body": "STOP", "OptOutType": "SOMETHING NEW"}, None),
        ({"Body": "hello", "OptOutType": "START"}, Keyword.START),
    ],
)
def test_a_keyword_is_what_twilio_understood_else_the_whole_message(changes, keyword):
    assert to_inbound(params(**changes)).keyword == keyword


def test_a_name_that_comes_twice_is_kept_as_a_list():
    raw = to_inbound(QueryDict(params().urlencode() + "&X=1&X=2&Y%00=%00")).raw
    assert (raw["X"], raw["Y"]) == (["1", "2"], "")


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("accepted", DeliveryStatus.QUEUED),
        ("scheduled", DeliveryStatus.QUEUED),
        ("sending", DeliveryStatus.QUEUED),
        ("partially_delivered", DeliveryStatus.SENT),
        ("Delivered", DeliveryStatus.DELIVERED),
        ("received", None),
        ("receiving", None),
        ("", None),
        ("teleported", None),
    ],
)
def test_twilio_s_status_words_become_ours(word, status):
    assert to_status(QueryDict(urlencode({"MessageSid": "SM1", "MessageStatus": word})), "").status == status


@pytest.mark.parametrize(
    ("carried", "message_id"),
    [("42", 42), ("", None), ("-1", None), ("4_2", None), ("٤٢", None), ("9" * 18, int("9" * 18)), ("9" * 19, None)],
)
def test_only_a_number_is_one_of_our_ids(carried, message_id):
    assert to_status(QueryDict("MessageSid=SM1"), carried).message_id == message_id


# --- Whatever comes -----------------------------------------------------------------------------------------------

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
names = st.one_of(
    text,
    st.sampled_from(["Body", "NumMedia", "MediaUrl0", "MediaContentType0", "MessageType", "ProfileName", "ListId"]),
    st.sampled_from(["OriginalRepliedMessageSid", "Forwarded", "OptOutType", "MessagingServiceSid", "Latitude"]),
)


@given(more=st.lists(st.tuples(names, text), max_size=8))
def test_every_parameter_is_kept_as_it_came_but_for_nul(more):
    sent = QueryDict(urlencode([*message(Body="").items(), *more]))
    raw = to_inbound(sent).raw
    for name, values in sent.lists():
        without = [value.replace("\0", "") for value in values]
        assert raw[name.replace("\0", "")] in (without, without[0]) or "\0" in name


@given(body=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=1600))
def test_every_text_survives_character_by_character(body):
    inbound = to_inbound(params(Body=body))
    assert inbound.text == inbound.raw["Body"] == body


@given(body=st.binary(max_size=60))
def test_bytes_that_are_no_text_become_one_that_every_database_takes(body):
    sent = QueryDict(urlencode(message(Body="")).encode() + b"&Body=" + quote_from_bytes(body).encode())
    written = to_inbound(sent).text
    assert written == body.decode("utf-8", "replace").replace("\0", "")
    assert written.encode().decode() == written


@pytest.mark.parametrize(
    "body", ["SGVsbG8sIHdvcmxkIQ==", "YWJj+/=", "data:text/plain;base64,SGk=", "%2B%25", "&amp;+1"]
)
def test_what_looks_encoded_is_not_decoded(body):
    assert to_inbound(params(Body=body)).text == body


@pytest.mark.parametrize("sid", ["MM" + "1" * 32, "SM" + "1" * 65])
def test_a_quoted_message_is_named_whatever_its_id_looks_like(sid):
    inbound = to_inbound(params(OriginalRepliedMessageSid=sid, OriginalRepliedMessageSender="whatsapp:+15550100001"))
    assert inbound.quoted == sid
    assert inbound.details == {"quoted": {"external_id": sid, "sender": "+15550100001"}}


def test_a_choice_from_a_list_is_a_button_with_its_payload():
    inbound = to_inbound(params(MessageType="interactive", Body="Tuesday", ListId="tue", ListTitle="Tuesday"))
    assert inbound.kind == "interactive"
    assert inbound.details == {"button": {"text": "Tuesday", "payload": "tue"}}
