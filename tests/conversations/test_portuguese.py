"""A workspace in Portuguese: what its contacts read, and what an operator reads of it in the language of a browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from conversations.assistants import AssistantError
from conversations.inbox import Keyword
from conversations.models import ChannelAccount, Conversation, Event, Message, Workspace
from project.demo import add_demo_knowledge

from .console import Console
from .scripted import ScriptedAssistant

pytestmark = pytest.mark.django_db(transaction=True)

Work = Callable[[], None]
Write = Callable[..., Message]
Answer = Callable[[str], list[str]]


@pytest.fixture
def answer(account: ChannelAccount, other_side: Console, write: Write, work: Work) -> Answer:
    """What the workspace answers, on the whole way from the inbox to the channel."""
    account.workspace.locale = "pt-br"
    account.workspace.save()
    add_demo_knowledge(account.workspace)

    def answer(text: str) -> list[str]:
        other_side.sent.clear()
        write(text)
        work()
        return [message.text for message in other_side.sent]

    return answer


def test_a_question_is_answered_from_the_knowledge(answer: Answer) -> None:
    assert answer("qual o horário de funcionamento?") == [
        "Encontrei isto sobre “Horário de funcionamento”:\n"
        "Abrimos de segunda a sexta, das 8h às 18h, e aos sábados, das 9h às 13h."
    ]


def test_courtesies_are_returned(answer: Answer) -> None:
    assert answer("Oi, bom dia!") == ["Olá! Eu sou o assistente virtual de Padaria. Como posso ajudar?"]
    assert answer("obrigada!") == ["De nada! Precisando, é só chamar."]


def test_who_is_told_how_to_reach_a_person_reaches_one_with_that_word(answer: Answer) -> None:
    (offer,) = answer("vocês vendem zepelins?")
    assert offer.endswith("Se quiser falar com uma pessoa, escreva “atendente”.")
    assert answer("atendente") == ["Vou chamar alguém da equipe para ajudar você. A resposta chega por aqui mesmo."]
    assert Conversation.objects.get().state == "human_handoff"


def test_an_assistant_that_fails_is_apologised_for(answer: Answer, assistant: ScriptedAssistant) -> None:
    assistant.replies = [AssistantError("the content filter refused")]
    assert answer("oi") == [
        "Desculpe, não consigo responder agora. Alguém da nossa equipe vai escrever para você por aqui."
    ]


@pytest.mark.parametrize(
    ("browser", "reasons"),
    [
        ("en", ("asked for a person", "wants no more messages")),
        ("pt-BR", ("pediu para falar com uma pessoa", "não quer mais receber mensagens")),
    ],
)
def test_reasons_are_stored_in_english_and_shown_in_the_language_of_who_reads(
    answer: Answer, write: Write, admin_client: Client, browser: str, reasons: tuple[str, str]
) -> None:
    answer("atendente")
    stop = write("PARE", keyword=Keyword.STOP)
    said = Event.objects.order_by("pk").values_list("reason", flat=True)
    assert list(said)[-2:] == ["asked for a person", "the contact has opted out"]
    assert stop.outcome_reason == "wants no more messages"
    page = admin_client.get(
        f"/admin/conversations/conversation/{stop.conversation_id}/change/", headers={"Accept-Language": browser}
    )
    for reason in reasons:
        assert reason in page.content.decode()


def test_a_workspace_offers_the_languages_that_there_are(admin_client: Client, answer: Answer) -> None:
    page = admin_client.get(f"/admin/conversations/workspace/{Workspace.objects.get().pk}/change/").content.decode()
    assert '<option value="pt-br" selected>Português (Brasil)</option>' in page
