"""A running product, and a Chromium to look at it with."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.stand_ins.product import Product
from tests.stand_ins.twin import ROOT

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",  # which root, as in a container, may not use
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 20_000  # milliseconds
SCREENSHOTS = ROOT / "artifacts"
OPERATOR, PASSWORD = "rita", "a password of the tests"


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if executable is None:
        pytest.skip(f"*** NO BROWSER, SO NOTHING IS PROVED HERE: install one of {', '.join(CHROMIUMS)} ***")
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE)
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def product(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Web, worker, scheduler and twin, with the demo's knowledge and an operator. No browser, no product."""
    with Product(tmp_path_factory.mktemp("product"), DJANGO_SUPERUSER_PASSWORD=PASSWORD) as product:
        product.setup()
        manage(product, "createsuperuser", "--noinput", "--username", OPERATOR, "--email", "rita@example.com")
        manage(
            product,
            "shell",
            "--command",
            "from project.demo import add_demo_knowledge; add_demo_knowledge(Workspace.objects.get())",
        )
        product.start_twin()
        product.start("web", "worker", "scheduler")
        yield product


def manage(product: Product, *arguments: str) -> None:
    command = [sys.executable, "manage.py", *arguments]
    subprocess.run(command, cwd=ROOT, env=product.env, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def open_page(browser: Browser, product: Product) -> Iterator[Callable[..., Page]]:
    """Opens a page in a window of its own. A script's error, or an answer of 400 and more, fails the test."""
    complaints: list[str] = []
    contexts = []

    def open_page(path: str, *, width: int = 1280, scheme: str = "light", locale: str = "en") -> Page:
        context = browser.new_context(
            base_url=product.base_url,
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            locale=locale,
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        page.on("response", lambda answer: complaints.append(answer.url) if answer.status >= 400 else None)
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def open_admin(open_page: Callable[..., Page]) -> Callable[..., Page]:
    """Logs the operator in and goes to a page of the admin."""

    def open_admin(path: str, **window: object) -> Page:
        page = open_page(f"/admin/login/?next={path}", **window)
        page.get_by_label(re.compile("Username|Usuário")).fill(OPERATOR)
        page.get_by_label(re.compile("Password|Senha")).fill(PASSWORD)
        page.get_by_role("button", name=re.compile("Log in|Acessar")).click()
        page.wait_for_url(f"**{path}")
        return page

    return open_admin


@pytest.fixture
def screenshot() -> Callable[[Page, str], Path]:
    """Keeps what the page shows, for the eye and for the README."""
    SCREENSHOTS.mkdir(exist_ok=True)

    def screenshot(page: Page, name: str) -> Path:
        path = SCREENSHOTS / f"{name}.png"
        page.screenshot(path=path)
        return path

    return screenshot
