"""What the assistant finds in the knowledge of a workspace, on whichever database the tests run."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations.knowledge import search
from conversations.models import KnowledgeEntry, Workspace

pytestmark = pytest.mark.django_db

ENTRIES = {
    "Opening hours": "We are open Monday to Friday from 9am to 6pm, and on Saturday until 1pm.",
    "Delivery": "We deliver within the city on weekdays. Deliveries are free above 50 euros.",
    "Parking": "Behind the shop there are four places for customers.",
    "Payment": "Cash, cards and bank transfer (IBAN on the invoice). Mon/Fri only: vouchers.",
    "Pets": "Dogs are welcome; cats sleep here already.",
    "Returns": "You may bring a thing back within 30 days. Opened boxes too.",
    "Horário de funcionamento": "Abrimos de segunda a sexta das 9h às 18h; aos sábados até as 13h.",
    "Promoções": "A promoção de verão vale para todos os animais de pelúcia.",
    "Devoluções": "Aceitamos devolução em até sete dias, com a nota fiscal.",
}


@pytest.fixture
def workspace() -> Workspace:
    workspace = Workspace.objects.create(name="Corner Shop", slug="corner-shop")
    for title, body in ENTRIES.items():
        KnowledgeEntry.objects.create(workspace=workspace, title=title, body=body)
    return workspace


def titles(workspace: Workspace, *texts: str) -> list[str]:
    return [title for title, _ in search(workspace_id=workspace.pk, texts=texts)]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("what are your opening hours on saturday?", "Opening hours"),
        ("What's the opening hour", "Opening hours"),
        ("are you open on saturdays", "Opening hours"),
        ("do you deliver?", "Delivery"),
        ("is there a delivery fee", "Delivery"),
        ("where can i park my car", "Parking"),
        ("can I pay by card? payments...", "Payment"),
        ("are vouchers ok", "Payment"),
        ("my DOG, may he come in", "Pets"),
        ("is a cat a problem", "Pets"),
        ("I want to return a box", "Returns"),
        ("qual o horario de vocês?", "Horário de funcionamento"),
        ("HORÁRIOS", "Horário de funcionamento"),
        ("abrem no sábado?", "Horário de funcionamento"),
        ("tem alguma promocao?", "Promoções"),
        ("animal de pelucia", "Promoções"),
        ("como faço uma devoluçao", "Devoluções"),
    ],
)
def test_the_entry_that_a_person_would_pick_comes_first(workspace: Workspace, text: str, title: str) -> None:
    assert titles(workspace, text)[:1] == [title]


def test_all_messages_of_a_burst_are_searched(workspace: Workspace) -> None:
    assert set(titles(workspace, "hello", "do you deliver?", "and parking?")) == {"Delivery", "Parking"}


def test_the_limit_is_kept(workspace: Workspace) -> None:
    assert len(search(workspace_id=workspace.pk, texts=["opening delivery parking pets"], limit=2)) == 2


@pytest.mark.parametrize("text", ["", "?", "👋", "a b c", "what do you have", "o que é isso", "xylophone", "\x00"])
def test_nothing_is_found_for_what_means_nothing_here(workspace: Workspace, text: str) -> None:
    assert search(workspace_id=workspace.pk, texts=[text]) == ()


def test_a_short_word_does_not_find_what_merely_begins_with_it(workspace: Workspace) -> None:
    KnowledgeEntry.objects.create(workspace=workspace, title="Carpets", body="Carpets and cartons.")
    assert titles(workspace, "car") == []


def test_workspaces_do_not_see_each_other(workspace: Workspace) -> None:
    other = Workspace.objects.create(name="Other", slug="other")
    KnowledgeEntry.objects.create(workspace=other, title="Opening hours", body="Never.")
    assert search(workspace_id=other.pk, texts=["opening hours"]) == (("Opening hours", "Never."),)
    assert ("Opening hours", "Never.") not in search(workspace_id=workspace.pk, texts=["opening hours"])


def test_the_index_follows_every_change(workspace: Workspace) -> None:
    entry = KnowledgeEntry.objects.get(title="Parking")
    entry.body = "There is a garage."
    entry.save()
    assert titles(workspace, "garage") == ["Parking"]
    assert titles(workspace, "customers") == []

    KnowledgeEntry.objects.filter(pk=entry.pk).update(title="Where to leave a bicycle")
    assert titles(workspace, "bicycle") == ["Where to leave a bicycle"]

    KnowledgeEntry.objects.bulk_create([KnowledgeEntry(workspace=workspace, title="Zeppelin", body="None.")])
    assert titles(workspace, "zeppelins") == ["Zeppelin"]

    entry.delete()
    assert titles(workspace, "garage", "bicycle") == []


@pytest.mark.parametrize(
    "text",
    [
        '"opening', "'opening", '"" OR opening', "opening AND", "NOT opening", "NEAR(opening zzz)",
        "body:opening", "opening*", "^opening", "-opening", "!opening & zzz | <->",
        "'opening':*A", "opening\\", "%s %(x)s opening", "{opening}",
        "opening\x00hours", "opening " * 200, "👨‍👩‍👧‍👦opening", "\ud800 opening", "открыто 営業時間 مفتوح opening",
    ],
)  # fmt: skip
def test_operators_and_odd_characters_are_only_text(workspace: Workspace, text: str) -> None:
    assert titles(workspace, text)[0] == "Opening hours"


@given(text=st.text(max_size=1600))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_breaks_the_query(workspace: Workspace, text: str) -> None:
    search(workspace_id=workspace.pk, texts=[text, text[::-1]])


def test_a_long_burst_of_long_messages_is_searched(workspace: Workspace) -> None:
    texts = [" ".join(f"word{number}x{message}" for number in range(150)) for message in range(10)]
    assert titles(workspace, "opening hours", *texts)[:1] == ["Opening hours"]
