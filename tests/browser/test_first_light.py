"""What a person sees: the phone that writes and is answered, and the operator who looks at it afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.stand_ins.product import Product
from tests.stand_ins.twin import eventually

pytestmark = pytest.mark.browser

QUESTION = "What are your opening hours?"
ANSWER = re.compile(r"Monday to Friday from 8:00 to 18:00")
UNFINISHED = "SELECT id FROM queueing_job WHERE task = 'process_ai_response' AND finished_at IS NULL"


def ask(phone: Page, text: str) -> None:
    phone.get_by_label("Message", exact=True).fill(text)
    phone.get_by_role("button", name="Send").click()


@pytest.fixture
def phone(open_page: Callable[..., Page]) -> Page:
    page = open_page("/simulator/")
    expect(page.get_by_role("region", name="Phone").get_by_role("status")).to_have_text("online")
    return page


@pytest.fixture
def answered(phone: Page) -> Page:
    """A phone on which a question has been asked and answered, and the answer read."""
    answers = phone.get_by_role("region", name="Phone").get_by_role("listitem").filter(has_text=ANSWER)
    before = answers.count()
    ask(phone, QUESTION)
    expect(answers).to_have_count(before + 1)
    expect(answers.last.get_by_role("img", name="Read")).to_be_visible()
    return phone


def test_a_question_is_answered_and_the_operator_sees_it(
    answered: Page, open_admin: Callable[..., Page], screenshot: Callable[[Page, str], object]
) -> None:
    screenshot(answered, "simulator")

    admin = open_admin("/admin/conversations/conversation/")
    screenshot(admin, "conversations")
    admin.get_by_role("rowheader").get_by_role("link").first.click()

    transcript = admin.get_by_role("region", name="Transcript")
    expect(transcript.get_by_text(QUESTION).last).to_be_visible()  # other tests have asked it too
    answer = transcript.get_by_role("article").filter(has_text=ANSWER).last
    expect(answer.get_by_role("img", name="read")).to_be_visible()
    screenshot(admin, "conversation")

    admin.get_by_role("link", name=re.compile("^process_ai_response")).first.click()
    expect(admin.get_by_role("heading", name="process_ai_response succeeded")).to_be_visible()
    expect(admin.get_by_role("link", name=re.compile("^deliver_message"))).to_be_visible()
    screenshot(admin, "job")


@pytest.fixture
def no_worker(answered: Page, product: Product) -> Iterator[None]:
    """What waits stays, until a test, or at the latest its end, starts the worker again."""
    product.stop("worker")
    yield
    if "worker" not in product.processes:
        product.start("worker")


@pytest.mark.usefixtures("no_worker")
def test_an_operator_takes_a_job_back_and_runs_it_after_all(
    product: Product, answered: Page, open_admin: Callable[..., Page], screenshot: Callable[[Page, str], object]
) -> None:
    ask(answered, "Do you deliver?")
    eventually(lambda: product.rows(UNFINISHED), within=20)  # the webhook has come
    admin = open_admin("/admin/queueing/job/")
    admin.get_by_role("link", name=re.compile("^process_ai_response")).first.click()

    admin.get_by_role("link", name="Cancel").click()
    expect(admin.get_by_role("heading", name="Cancel this job?")).to_be_visible()
    screenshot(admin, "job-cancel")
    admin.get_by_role("button", name="Yes, cancel the job").click()
    expect(admin.get_by_text("1 job was cancelled.")).to_be_visible()

    admin.get_by_role("link", name="Run again").click()
    admin.get_by_role("button", name="Yes, run it").click()
    expect(admin.get_by_text("1 job runs again.")).to_be_visible()

    product.start("worker")
    expect(
        answered.get_by_role("region", name="Phone")
        .get_by_role("listitem")
        .filter(has_text="We deliver within the city")
    ).to_be_visible()


@pytest.mark.parametrize(("scheme", "locale"), [("light", "en"), ("dark", "pt-BR")])
@pytest.mark.parametrize(("device", "width"), [("desktop", 1280), ("phone", 390)])
def test_every_screen_fits(
    answered: Page,
    open_admin: Callable[..., Page],
    screenshot: Callable[[Page, str], object],
    device: str,
    width: int,
    scheme: str,
    locale: str,
) -> None:
    admin = open_admin("/admin/", width=width, scheme=scheme, locale=locale)
    expect(admin.locator("html")).to_have_attribute("lang", locale.lower())
    for screen in (
        "conversations/conversation", "conversations/conversation/1/change", "conversations/message",
        "conversations/message/1/change",
        "conversations/contact", "conversations/knowledgeentry", "queueing/job", "queueing/job/1/change",
        "queueing/worker",
        "channels_twilio/twilioaccount/1/change", "channels_twilio/twiliosender", "channels_twilio/quarantinedrequest",
        "conversations/template/add", "conversations/channelaccount/1/change",
    ):  # fmt: skip
        admin.goto(f"/admin/{screen}/")
        assert admin.evaluate("document.documentElement.scrollWidth") <= width, f"{screen} is too wide"
        screenshot(admin, f"{screen.replace('/', '-')}-{device}-{scheme}")
