"""Whatever the parameters are: signed by Twilio's SDK they open the door, and changed anywhere they do not."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.http import HttpRequest, QueryDict
from django.test import RequestFactory
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from channels_twilio.models import TwilioAccount
from channels_twilio.signature import Refused, verified_account

from .signed_requests import ACCOUNT_SID, AUTH_TOKEN, BASE_URL, FORM, INBOUND

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
params = st.dictionaries(text.filter(lambda name: name != "AccountSid"), text, min_size=1, max_size=6)
once_for_all_examples = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # nothing is written


def signature_of(given: dict[str, str], target: str = INBOUND) -> str:
    signed = QueryDict(urlencode({"AccountSid": ACCOUNT_SID, **given}))
    return str(RequestValidator(AUTH_TOKEN).compute_signature(BASE_URL + target, signed))


def signed_text(given: dict[str, str]) -> str:
    """Names and values are signed run together, so `a=bc` and `ab=c` are the same to Twilio."""
    return "".join(name + value for name, value in sorted(given.items()))


def request(given: dict[str, str], signature: str, target: str = INBOUND) -> HttpRequest:
    body = urlencode({"AccountSid": ACCOUNT_SID, **given})
    headers = {"X-Twilio-Signature": signature}
    return RequestFactory().generic("POST", target, body, content_type=FORM, headers=headers)


@once_for_all_examples
@given(given=params)
def test_signed_parameters_are_valid(account: TwilioAccount, given: dict[str, str]) -> None:
    assert verified_account(request(given, signature_of(given))) == account


@once_for_all_examples
@given(given=params, data=st.data())
def test_a_single_change_of_a_parameter_is_refused(
    account: TwilioAccount, given: dict[str, str], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(given)))
    value, others = given[name], {key: value for key, value in given.items() if key != name}
    changed = data.draw(
        st.one_of(
            text.map(lambda other: given | {name: other}),
            text.map(lambda other: others | {other: value}),
            st.just(others),
            st.just(given | {name + "x": "y"}),
        )
    )
    assume(signed_text(changed) != signed_text(given))
    with pytest.raises(Refused):
        verified_account(request(changed, signature_of(given)))


@once_for_all_examples
@given(given=params, data=st.data())
def test_a_single_change_of_the_signature_or_the_url_is_refused(
    account: TwilioAccount, given: dict[str, str], data: st.DataObject
) -> None:
    signature = signature_of(given)
    place = data.draw(st.integers(0, len(signature) - 3))  # of the last letters some bits say nothing
    letter = data.draw(st.sampled_from("ABCxyz019+/").filter(lambda letter: letter != signature[place]))
    with pytest.raises(Refused):
        verified_account(request(given, signature[:place] + letter + signature[place + 1 :]))
    with pytest.raises(Refused):
        verified_account(request(given, signature, INBOUND + "?a=b"))
