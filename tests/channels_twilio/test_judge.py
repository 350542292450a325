"""The judge of the other tests is judged: it lets a good request pass, and sees what is wrong with a bad one."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from tests.stand_ins.judge import complaints

from .signed_requests import ACCOUNT_SID

URL = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
BASIC = "Basic dXNlcjpwYXNz"
GOOD = {"To": "whatsapp:+15550107777", "From": "whatsapp:+15550100001", "Body": "Hi"}


def judge(params: dict[str, object], *, url: str = URL, authorization: str = BASIC) -> list[str]:
    return complaints("POST", url, urlencode(params, doseq=True), authorization)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"Body": "x" * 1600},
        {"MediaUrl": [f"https://example.com/{number}.png" for number in range(10)]},
        {"StatusCallback": "https://example.com/status/?m=1#rc=5", "ValidityPeriod": 36000},
        {"MessagingServiceSid": "MG" + "0" * 32, "ContentSid": "HX" + "0" * 32, "ContentVariables": '{"1": "Ana"}'},
    ],
)
def test_a_good_send_passes(more: dict[str, object]) -> None:
    assert judge(GOOD | more) == []


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"Bodi": "a wrong name"}, "there is no parameter 'Bodi'"),
        ({"ValidityPeriod": "soon"}, "Failed to cast value to integer"),
        ({"ValidityPeriod": 36001}, "36001 is greater than the maximum"),
        ({"ValidityPeriod": 0}, "0 is less than the minimum"),
        ({"Body": "x" * 1601}, "is too long"),
        ({"Body": ""}, "should be non-empty"),
        ({"MediaUrl": ["https://example.com"] * 11}, "is too long"),
        ({"StatusCallback": "https://my_bot.example.com/"}, "is not a 'uri'"),
        ({"ContentSid": "HX1"}, "does not match '^HX"),
        ({"ContentVariables": "[]"}, "is not a 'json-object'"),
        ({"ContentRetention": "keep"}, "is not one of ['retain', 'discard']"),
        ({"To": "Ana"}, "is not a 'phone-number'"),
    ],
)
def test_a_bad_send_is_seen(more: dict[str, object], complaint: str) -> None:
    assert complaint in "\n".join(judge(GOOD | more))


@pytest.mark.parametrize("missing", ["To", "From", "Body"])
def test_what_is_missing_is_seen(missing: str) -> None:
    assert judge({name: value for name, value in GOOD.items() if name != missing})


def test_a_wrong_address_and_missing_credentials_are_seen() -> None:
    assert "Path not found" in judge(GOOD, url=URL.replace("Messages", "Message"))[0]
    assert "does not match '^AC" in judge(GOOD, url=URL.replace("AC", "AB"))[0]
    assert "Security not found" in judge(GOOD, authorization="")[0]


def test_lists_are_judged_by_their_query() -> None:
    assert complaints("GET", URL + "?To=%2B15550107777&PageSize=100&DateSent%3E=2026-11-23T12:00:00Z", "", BASIC) == []
    assert complaints("GET", URL + "?PageSize=1001", "", BASIC)
    assert complaints("GET", URL + "?Size=100", "", BASIC)
