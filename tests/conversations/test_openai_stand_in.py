"""The stand-in for OpenAI as a process of its own, steered and read over HTTP."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest


@pytest.fixture
def base_url() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.stand_ins.openai", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.terminate()
    assert process.returncode == 0


def test_it_is_scripted_and_read_over_http(base_url: str) -> None:
    root = base_url.removesuffix("/v1")
    question = {"model": "some-model", "messages": [{"role": "user", "content": "Hi"}]}
    httpx.post(f"{root}/script", json=[{"text": "Hello!"}, {"status": 429, "headers": {"Retry-After": "7"}}])

    answer = httpx.post(f"{base_url}/chat/completions", json=question).json()
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "Hello!"}
    refusal = httpx.post(f"{base_url}/chat/completions", json=question)
    assert (refusal.status_code, refusal.headers["Retry-After"]) == (429, "7")
    default = httpx.post(f"{base_url}/chat/completions", json=question).json()
    assert default["choices"][0]["message"]["content"] == "You wrote: Hi"

    journal = httpx.get(f"{root}/journal").json()
    assert [request["body"] for request in journal["requests"]] == [question] * 3
    assert (journal["in_flight"], journal["max_in_flight"]) == (0, 1)
    httpx.delete(f"{root}/journal")
    assert httpx.get(f"{root}/journal").json()["requests"] == []


def test_there_is_no_responses_api(base_url: str) -> None:
    assert httpx.post(f"{base_url}/responses", json={}).status_code == 404
