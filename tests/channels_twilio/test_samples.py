"""Every sample request of Twilio's, posted byte for byte: signature, storage, counts and rank."""

from __future__ import annotations

from itertools import permutations

import pytest

from channels_twilio.models import StatusEvent
from conversations.inbox import Keyword
from conversations.models import Contact, DeliveryStatus, Media, Message, Outcome, State
from queueing.models import Job

from .outbound import outbound
from .signed_requests import CASES, cases, post_case

pytestmark = pytest.mark.django_db

KINDS = {
    "wa_image_empty_body": "image",
    "wa_image_caption": "image",
    "wa_voice_note": "audio",
    "wa_document_pdf": "document",
    "wa_contact_vcard": "contacts",
    "wa_location": "location",
    "wa_button_quick_reply": "interactive",
    "mms_one_image": "image",
}
DETAILS = {
    "wa_location": {
        "location": {
            "latitude": "51.51322977399644",
            "longitude": "-0.2197976373036567",
            "address": "187 Freston Road, London, Greater London W10 6TH",
            "label": "The Harrow Club",
        }
    },
    "wa_button_quick_reply": {
        "button": {"text": "Confirmar", "payload": "{appt:42}"},
        "quoted": {"external_id": "MMb823c81902e9de7381415cb622560b41", "sender": "+15550100001"},
    },
    "wa_frequently_forwarded": {"forwarded": True, "frequently_forwarded": True},
}
KEYWORDS = {
    "sms_stop_advanced_optout": Keyword.STOP,
    "sms_start_advanced_optout": Keyword.START,
    "sms_help_advanced_optout": Keyword.HELP,
    "sms_stop_no_optouttype": Keyword.STOP,
}


@pytest.mark.parametrize("name", cases("inbound"))
def test_a_message_is_stored_once_with_all_that_it_carries(client, whatsapp, sms, name):
    params = dict(CASES[name]["params"])

    response = post_case(client, name)

    assert response.status_code == 200
    assert response["Content-Type"] == "text/xml"
    assert response.content.endswith(b"<Response/>")
    message = Message.objects.get()
    assert message.external_id == params["MessageSid"]
    assert message.text == params["Body"]
    assert message.kind == KINDS.get(name, "text")
    assert message.details == DETAILS.get(name, {})
    assert message.raw == params
    assert message.channel_account == (whatsapp if CASES[name]["channel"] == "whatsapp" else sms)
    contact = Contact.objects.get()
    assert contact.address == params["From"].removeprefix("whatsapp:")
    assert contact.name == params.get("ProfileName", "")
    media = list(Media.objects.values_list("position", "content_type", "source_url"))
    assert media == [(0, params.get("MediaContentType0"), params.get("MediaUrl0"))] * int(params["NumMedia"])
    assert Job.objects.filter(task="process_ai_response").count() == (0 if name in KEYWORDS else 1)
    assert message.outcome == (Outcome.SUPPRESSED if name in KEYWORDS else Outcome.WAITING)


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("signature", ["", "CEmISj/hH1Yi4zaBSjgETjES1TY!", "é", "x" * 10_000])
def test_a_wrong_signature_stores_nothing(client, whatsapp, sms, name, signature):
    assert post_case(client, name, signature=signature).status_code == 403

    assert not Message.objects.exists()
    assert not Job.objects.exists()
    assert not StatusEvent.objects.exists()


@pytest.mark.parametrize("name", cases("inbound"))
def test_the_same_message_again_is_answered_alike_and_stores_nothing(client, whatsapp, sms, name):
    first, jobs = post_case(client, name), Job.objects.count()

    again = post_case(client, name)

    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert Message.objects.count() == 1
    assert Job.objects.count() == jobs


def test_a_retry_with_the_same_idempotency_token_stores_nothing(client, sms):
    assert [post_case(client, name).status_code for name in ("dup_first", "dup_retry_same_token")] == [200, 200]
    assert Message.objects.count() == 1


@pytest.mark.parametrize("name", cases("status"))
def test_a_status_moves_its_message_and_is_kept(client, whatsapp, sms, name):
    params = dict(CASES[name]["params"])
    account = whatsapp if CASES[name]["channel"] == "whatsapp" else sms
    message = outbound(account, external_id=params["MessageSid"])

    response = post_case(client, name)

    assert (response.status_code, response.content) == (204, b"")
    message.refresh_from_db()
    assert message.delivery_status == params["MessageStatus"]
    assert message.error_code == params.get("ErrorCode", "")
    assert message.error_reason == params.get("ErrorMessage", "")
    event = StatusEvent.objects.get()
    assert (event.external_id, event.status, event.raw) == (message.external_id, params["MessageStatus"], params)


@pytest.mark.parametrize(
    ("names", "final"),
    [
        (("st_sms_sent", "st_sms_delivered_dlr", "st_sms_duplicate_delivered"), DeliveryStatus.DELIVERED),
        (("st_wa_sent", "st_wa_delivered", "st_wa_read"), DeliveryStatus.READ),
    ],
)
def test_statuses_in_any_order_end_at_the_highest(client, whatsapp, sms, names, final):
    for order in permutations(names):
        account = whatsapp if order[0].startswith("st_wa") else sms
        message = outbound(account, external_id=dict(CASES[order[0]]["params"])["MessageSid"])
        for name in order:
            assert post_case(client, name).status_code == 204
        message.refresh_from_db()
        assert message.delivery_status == final
        message.delete()


@pytest.mark.parametrize("name", cases("status"))
def test_a_status_of_an_unknown_message_is_kept_all_the_same(client, account, name):
    assert post_case(client, name).status_code == 204
    assert StatusEvent.objects.count() == 1
    assert not Message.objects.exists()


def test_stop_and_start_change_whether_the_contact_may_be_written_to(client, sms):
    post_case(client, "sms_stop_advanced_optout")
    assert Contact.objects.get().opted_out_at
    post_case(client, "sms_start_advanced_optout")
    assert Contact.objects.get().opted_out_at is None


def test_a_button_reply_is_linked_to_the_message_that_it_quotes(client, whatsapp):
    quoted = outbound(whatsapp, external_id="MMb823c81902e9de7381415cb622560b41", contact="+15550107777")
    post_case(client, "wa_button_quick_reply")
    assert Message.objects.latest("pk").quoted == quoted


def test_a_callback_with_21610_opts_the_contact_out(client, sms):
    outbound(sms, external_id="SM155a683c3c2ccc221e3a6bf5a9131c46")
    post_case(client, "st_sms_failed_21610_ms")
    assert Contact.objects.get().opted_out_at


@pytest.mark.parametrize("name", ["st_wa_failed_63016", "st_wa_undelivered_63024"])
def test_a_message_that_cannot_arrive_gives_the_conversation_to_a_person(client, whatsapp, name):
    message = outbound(whatsapp, external_id=dict(CASES[name]["params"])["MessageSid"], contact="+15550107777")
    post_case(client, name)
    message.conversation.refresh_from_db()
    assert message.conversation.state == State.HUMAN


def test_a_soft_failure_is_sent_again_later(client, sms):
    outbound(sms, external_id="SM26a638f0e4f9009f0dbc6d1346a18efd")
    post_case(client, "st_sms_undelivered_30003")
    assert Job.objects.filter(task="deliver_message").exists()
