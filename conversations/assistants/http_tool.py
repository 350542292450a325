"""A tool of the workspace's own: a web address that is asked what the model wants to know."""

from __future__ import annotations

import logging
import ssl
from functools import cache
from typing import Any

import httpx
from django.utils.translation import gettext_noop
from jsonschema import Draft202012Validator, SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable

from conversations.models import HttpTool
from conversations.pinned import Forbidden, PinnedTransport
from queueing import event_loop

from .base import Effects, storable

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0
MAX_BYTES = 20_000  # of an answer; a model is shown no more

NOT_HTTPS = gettext_noop("The address must begin with https:// and hold no user name and no password.")
NOT_AN_OBJECT = gettext_noop("The parameters must be the JSON Schema of an object.")


def problem(tool: HttpTool) -> str:
    """What is wrong with a tool that somebody enters; empty: nothing."""
    url = httpx.URL(tool.url)
    if url.scheme != "https" or not url.host or url.userinfo:
        return NOT_HTTPS
    if not isinstance(tool.schema, dict) or tool.schema.get("type") != "object":
        return NOT_AN_OBJECT
    try:
        Draft202012Validator.check_schema(tool.schema)
    except SchemaError as error:
        return str(error.message)
    return ""


def ask(tool: HttpTool, arguments: dict[str, Any], effects: Effects) -> str:
    """What the address answers to `arguments`, or, for the model, why there is no answer.

    The request goes to the declared address alone: no redirect is followed, no private network entered, and only the
    query (GET) or the body (POST) comes from the model.
    """
    if problem(tool):
        return "The tool is not set up."
    try:
        # The empty registry: a schema that refers to another address would have it fetched.
        errors = Draft202012Validator(tool.schema, registry=Registry()).iter_errors(arguments)
        if error := next(iter(errors), None):
            return f"The arguments do not fit: {error.message}"[:500]
        return storable(event_loop.run(_request(tool, arguments), timeout=TIMEOUT_SECONDS))
    except (TimeoutError, Forbidden, httpx.HTTPError, httpx.InvalidURL, Unresolvable) as error:
        logger.warning("the tool %s could not be asked: %s", tool.pk, type(error).__name__)
        return "The tool does not answer."


async def _request(tool: HttpTool, arguments: dict[str, Any]) -> str:
    url = httpx.URL(tool.url)
    # Compressed, a small answer could hold a huge one.
    headers = {"Accept-Encoding": "identity"}
    if tool.authorization:
        headers["Authorization"] = tool.authorization
    # The environment's proxies are not used: they would look the name up again.
    async with httpx.AsyncClient(transport=PinnedTransport(verify=_tls()), trust_env=False) as http:
        request = (
            http.build_request("GET", url.copy_merge_params(arguments), headers=headers)
            if tool.method == "GET"
            else http.build_request("POST", url, json=arguments, headers=headers)
        )
        answer = await http.send(request, stream=True, follow_redirects=False)
        try:
            if answer.status_code != 200:
                return f"The tool answers with an error: {answer.status_code}."
            content = bytearray()
            async for chunk in answer.aiter_raw():
                content += chunk
                if len(content) > MAX_BYTES:
                    return "The tool answers with too much."
            return content.decode("utf-8", "replace")
        finally:
            await answer.aclose()


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)
