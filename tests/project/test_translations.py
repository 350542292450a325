"""Every text that the product shows to a person is there in Portuguese too. `make messages` makes the catalogs."""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
import unfold
from django.conf import settings
from django.utils.translation import trans_real
from django.utils.translation.template import templatize

from tests.conftest import ROOT

APPS = [ROOT / name for name in ("project", "conversations", "channels_twilio", "queueing")]
CATALOGS = sorted(chain(*(app.glob("*locale/pt_BR/LC_MESSAGES/django.po") for app in APPS)))
MARK = re.compile(r"_|(?:n|p)?gettext(?:_lazy|_noop)?")
CALL = re.compile(
    r"""\b(?:_|n?gettext)\((?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^()'"])*\)"""
)  # as templatize() makes it
LINES = re.compile(r'^(msg\w+(?:\[\d\])?) ((?:".*"\n)+)', re.MULTILINE)
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[a-z]|\{\w*\}")

Key = str | tuple[str, int]  # the text, behind its context if it has one; with the number of a plural's form


def marked(package: Path) -> set[str]:
    """The texts that the Python files and templates of a package mark for translation, as catalogs name them."""
    sources = [path.read_text() for path in package.rglob("*.py")]
    for template in package.rglob("*.html"):
        sources += (match[0] for match in CALL.finditer(templatize(template.read_text())))
    calls = (node for node in chain(*(ast.walk(ast.parse(source)) for source in sources)) if isinstance(node, ast.Call))
    return set(chain(*map(_texts, calls)))


def _texts(call: ast.Call) -> Iterator[str]:
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    constants = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    if MARK.fullmatch(name) and constants:
        yield "\x04".join(constants[:2]) if name.startswith("pgettext") else constants[0]


def read(catalog: Path) -> dict[Key, str]:
    """What stands in a .po file, in the form that Python reads a .mo file in."""
    entries: dict[Key, str] = {}
    context = key = ""
    for word, literals in LINES.findall(catalog.read_text()):
        text = "".join(map(ast.literal_eval, literals.splitlines()))
        if word == "msgctxt":
            context = f"{text}\x04"
        elif word == "msgid":
            key, context = context + text, ""
        elif word == "msgstr":
            entries[key] = text
        elif word.startswith("msgstr"):
            entries[key, int(word[7])] = text
    return entries


def test_there_is_a_catalog_for_each_app_and_one_for_unfold() -> None:
    assert [path.parts[-5:-3] for path in CATALOGS] == [
        ("channels_twilio", "locale"),
        ("conversations", "locale"),
        ("project", "locale"),
        ("project", "unfold_locale"),
        ("queueing", "locale"),
    ]


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.name)
def test_the_catalog_of_an_app_has_its_texts_and_no_others(app: Path) -> None:
    entries = read(app / "locale/pt_BR/LC_MESSAGES/django.po")
    texts = {key if isinstance(key, str) else key[0] for key in entries} - {""}
    assert texts == marked(app), "run `make messages`, and translate what it finds"


def test_unfold_shows_no_english() -> None:
    known = trans_real.translation("pt-br")._catalog
    package = Path(unfold.__file__).parent
    texts = marked(package) - set(chain(*map(marked, (package / "contrib").iterdir())))
    assert texts
    assert {text for text in texts if text not in known and (text, 0) not in known} == set()


@pytest.mark.parametrize("catalog", CATALOGS, ids=lambda path: path.parts[-5])
def test_no_entry_is_empty_or_a_guess(catalog: Path) -> None:
    text = catalog.read_text()
    assert ", fuzzy" not in text
    assert [key for key, translation in read(catalog).items() if not translation] == []


@pytest.mark.parametrize("catalog", CATALOGS, ids=lambda path: path.parts[-5])
def test_a_translation_has_the_placeholders_of_its_text(catalog: Path) -> None:
    for key, translation in read(catalog).items():
        text = key if isinstance(key, str) else key[0]
        assert sorted(PLACEHOLDER.findall(translation)) == sorted(PLACEHOLDER.findall(text)) or not text, text


@pytest.mark.parametrize("catalog", CATALOGS, ids=lambda path: path.parts[-5])
def test_what_is_read_is_what_was_compiled(catalog: Path) -> None:
    with catalog.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)._catalog
    assert compiled == read(catalog), "run `make messages`"


@pytest.mark.parametrize("catalog", CATALOGS, ids=lambda path: path.parts[-5])
def test_one_text_is_not_translated_in_two_ways(catalog: Path) -> None:
    """Django merges all catalogs into one: of two translations of a text, everybody would see the same one."""
    shown = trans_real.translation("pt-br")._catalog
    for key, translation in read(catalog).items():
        assert not key or shown[key] == translation


def test_the_catalogs_are_those_of_a_language_that_is_offered() -> None:
    offered = {trans_real.to_locale(code) for code, _ in settings.LANGUAGES} - {"en"}
    assert {path.parts[-3] for path in CATALOGS} == offered
