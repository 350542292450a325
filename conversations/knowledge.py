"""Full-text search over what a workspace's assistant may say. The migration `knowledge_search` keeps the index."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db import connection

MAX_WORDS = 64  # a query of every word of ten long messages finds nothing better, and costs the database more

ENGLISH = """
about all also am an and any are as at be been but by can could did didn do does doesn doing don for from had has
have having he her his how if in into is isn it its just like ll may me my need no not of on or our please re she
should so some than that the their them then there these they this those to us ve want was we were what when where
which who why will with would you your
"""
PORTUGUESE = """
ao aos as com como da das de dela dele do dos ela ele elas eles em entao era essa esse esta este estao estou eu
favor foi gostaria ha isso isto ja la lhe mais mas me mesmo meu meus minha muito na nas nao nem no nos nossa nosso
num numa ou para pela pelo por porque posso pra pode podem preciso qual quais quando que quem queria quero se sem
ser seu seus sim so sou sua suas tambem te tem tenho ter teu tua um uma uns voce voces
"""
STOP_WORDS = frozenset(ENGLISH.split() + PORTUGUESE.split())
_WORD = re.compile(r"[^\W_]+")
# What is cut off so that one form of a word finds the others by their common beginning (opening hours: open, hour;
# horários, promoções, animais: horario, promoc, anima). At least three letters stay.
_ENDING = re.compile(
    r"(?<=\w{4})(?:ing|ed|ies|y|s)$|(?<=\w\w[hrxz])es$|(?<=\w{3})(?:ao|oes)$|(?<=\w{3}[aeo])(?:is|l|m|ns)$"
)

_SQL = {
    # Title hits weigh five times; FTS5's bm25 is the smaller, the better.
    "sqlite": """
        SELECT entry.title, entry.body
        FROM conversations_knowledgesearch found JOIN conversations_knowledgeentry entry ON entry.id = found.rowid
        WHERE conversations_knowledgesearch MATCH %s AND entry.workspace_id = %s
        ORDER BY bm25(conversations_knowledgesearch, 5.0, 1.0), entry.id LIMIT %s
    """,
    # {D, C, B, A} are the weights: A is the title, B the text. 1: divide by the logarithm of the length.
    "postgresql": """
        SELECT title, body
        FROM conversations_knowledgeentry, to_tsquery('simple', %s) query
        WHERE search @@ query AND workspace_id = %s
        ORDER BY ts_rank('{0, 0, 0.2, 1}', search, query, 1) DESC, id LIMIT %s
    """,
}


@dataclass(frozen=True, slots=True)
class Term:
    """One word to look for: without accents, in small letters."""

    word: str
    stem: str  # what its other forms begin with

    @property
    def is_short(self) -> bool:
        """Whether the stem is too short to look for what begins with it: "car" must not find "card"."""
        return len(self.stem) < 4 and len(self.word) < 5


def words(text: str) -> list[str]:
    """The words of `text` in their order, in small letters and without accents; punctuation and emoji are left out."""
    decomposed = unicodedata.normalize("NFD", text.lower())
    bare = "".join(character for character in decomposed if not "\u0300" <= character <= "\u036f")
    return _WORD.findall(unicodedata.normalize("NFC", bare))


def terms(text: str) -> Iterator[Term]:
    """The words of `text` worth looking for: neither single characters nor stop words of English and Portuguese."""
    for word in words(text):
        if len(word) > 1 and word not in STOP_WORDS:
            yield Term(word, word.removesuffix("s") if len(word) < 5 else _ENDING.sub("", word))


def fits(term: Term, text: Sequence[str]) -> bool:
    """Whether a form of `term` is among the words `text`, by the same rule as in `search`."""
    if term.is_short:
        return not {term.word, term.stem, f"{term.stem}s"}.isdisjoint(text)
    return any(word.startswith(term.stem) for word in text)


def search(*, workspace_id: int, texts: Sequence[str], limit: int = 5) -> tuple[tuple[str, str], ...]:
    """Title and text of the entries of one workspace that fit `texts`, best first; () when none does.

    Args:
        texts: what a contact wrote, in any language and with any characters; an entry that has one word fits.
        limit: how many entries at most.
    """
    wanted = list(dict.fromkeys(term for text in texts for term in terms(text)))[:MAX_WORDS]
    if not wanted:
        return ()
    query = _RENDER[connection.vendor](wanted)
    with connection.cursor() as cursor:
        cursor.execute(_SQL[connection.vendor], [query, workspace_id, limit])
        return tuple((title, body) for title, body in cursor.fetchall())


def _fts5(wanted: list[Term]) -> str:
    """https://sqlite.org/fts5.html#full_text_query_syntax: nothing is an operator in quotes, words hold none."""
    return " OR ".join(
        f'"{term.word}" OR "{term.stem}" OR "{term.stem}s"' if term.is_short else f'"{term.word}" OR "{term.stem}"*'
        for term in wanted
    )


def _tsquery(wanted: list[Term]) -> str:
    """https://www.postgresql.org/docs/current/datatype-textsearch.html#DATATYPE-TSQUERY: quoted likewise."""
    return " | ".join(
        f"'{term.word}' | '{term.stem}' | '{term.stem}s'" if term.is_short else f"'{term.word}' | '{term.stem}':*"
        for term in wanted
    )


_RENDER = {"sqlite": _fts5, "postgresql": _tsquery}
