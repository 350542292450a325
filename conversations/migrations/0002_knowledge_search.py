"""The index behind `conversations.knowledge`, made of what each database brings along: no extension, no superuser.

SQLite: an FTS5 table that holds no text of its own, kept by triggers. A later migration that makes SQLite rebuild
`conversations_knowledgeentry` drops them with the old table and must make them again (`tests/conversations/test_knowledge.py`
notices).

PostgreSQL: a generated column. `unaccent` is not immutable and may not be installable, so accents are taken off by
decomposing (NFD) and removing the marks; punctuation goes too, lest the parser take "Mon/Fri" for a file name.
"""

from django.db import migrations

SQLITE = [
    """
    CREATE VIRTUAL TABLE conversations_knowledgesearch USING fts5(
        title, body, content='conversations_knowledgeentry', content_rowid='id', tokenize='unicode61 remove_diacritics 2'
    )
    """,
    """
    CREATE TRIGGER conversations_knowledgesearch_insert AFTER INSERT ON conversations_knowledgeentry BEGIN
        INSERT INTO conversations_knowledgesearch (rowid, title, body) VALUES (new.id, new.title, new.body);
    END
    """,
    """
    CREATE TRIGGER conversations_knowledgesearch_delete AFTER DELETE ON conversations_knowledgeentry BEGIN
        INSERT INTO conversations_knowledgesearch (conversations_knowledgesearch, rowid, title, body)
        VALUES ('delete', old.id, old.title, old.body);
    END
    """,
    """
    CREATE TRIGGER conversations_knowledgesearch_update AFTER UPDATE OF title, body ON conversations_knowledgeentry BEGIN
        INSERT INTO conversations_knowledgesearch (conversations_knowledgesearch, rowid, title, body)
        VALUES ('delete', old.id, old.title, old.body);
        INSERT INTO conversations_knowledgesearch (rowid, title, body) VALUES (new.id, new.title, new.body);
    END
    """,
    "INSERT INTO conversations_knowledgesearch (conversations_knowledgesearch) VALUES ('rebuild')",
]
SQLITE_REVERSE = [
    "DROP TRIGGER conversations_knowledgesearch_update",
    "DROP TRIGGER conversations_knowledgesearch_delete",
    "DROP TRIGGER conversations_knowledgesearch_insert",
    "DROP TABLE conversations_knowledgesearch",
]

WORDS = r"""to_tsvector('simple', regexp_replace(
    normalize(regexp_replace(normalize(lower({column}), NFD), '[\u0300-\u036f]+', '', 'g'), NFC),
    '[^[:alnum:]\u0080-\U0010ffff]+', ' ', 'g'
))"""
POSTGRESQL = [
    f"""
    ALTER TABLE conversations_knowledgeentry ADD COLUMN search tsvector GENERATED ALWAYS AS (
        setweight({WORDS.format(column="title")}, 'A') || setweight({WORDS.format(column="body")}, 'B')
    ) STORED
    """,
    "CREATE INDEX conversations_knowledgesearch ON conversations_knowledgeentry USING gin (search)",
]
POSTGRESQL_REVERSE = ["ALTER TABLE conversations_knowledgeentry DROP COLUMN search"]


def create(apps, schema_editor):
    run(schema_editor, {"sqlite": SQLITE, "postgresql": POSTGRESQL})


def drop(apps, schema_editor):
    run(schema_editor, {"sqlite": SQLITE_REVERSE, "postgresql": POSTGRESQL_REVERSE})


def run(schema_editor, statements):
    for statement in statements[schema_editor.connection.vendor]:
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("conversations", "0001_initial")]
    operations = [migrations.RunPython(create, drop)]
