"""What a developer sees below the phone: the faults that are on, and every request both ways."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def say(phone: Page, text: str) -> None:
    phone.get_by_label("Message", exact=True).fill(text)
    phone.get_by_role("button", name="Send").click()


def test_a_fault_is_switched_on_seen_and_switched_off(open_page: Callable[..., Page]) -> None:
    page = open_page("/simulator/")
    panel, requests = page.locator("#faults"), page.locator("#requests")
    expect(panel.get_by_role("status")).to_have_text("No faults.")
    panel.get_by_label("Twilio is busy (429)").fill("100")
    panel.get_by_role("button", name="Apply").click()
    expect(panel.get_by_role("status")).to_have_text("These faults are on.")

    say(page, "What are your opening hours?")
    refused = requests.get_by_role("listitem").filter(has_text="fault: 429").first
    expect(refused).to_contain_text("Messages.json")
    panel.get_by_role("button", name="No faults").click()
    expect(panel.get_by_role("status")).to_have_text("No faults.")
    expect(
        requests.get_by_role("listitem").filter(has_text=re.compile("201POST .*Messages.json")).first
    ).to_be_visible()

    refused.locator("summary").click()
    expect(refused).to_contain_text("Too Many Requests")
    expect(refused).to_contain_text("Basic ********")


@pytest.mark.parametrize(("scheme", "locale"), [("light", "en"), ("dark", "pt-BR")])
@pytest.mark.parametrize(("device", "width"), [("desktop", 1280), ("phone", 390)])
def test_it_fits(
    open_page: Callable[..., Page],
    screenshot: Callable[[Page, str], object],
    device: str,
    width: int,
    scheme: str,
    locale: str,
) -> None:
    page = open_page("/simulator/", width=width, scheme=scheme, locale=locale)
    expect(page.locator("#requests li").first).to_be_visible()
    page.locator("#requests summary").first.click()
    page.locator("#workshop").scroll_into_view_if_needed()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    screenshot(page, f"workshop-{device}-{scheme}")
    page.locator("#requests").scroll_into_view_if_needed()
    screenshot(page, f"requests-{device}-{scheme}")
