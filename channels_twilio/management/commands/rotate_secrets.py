"""After a change of `SECRET_KEY`: what the earlier keys encrypted is encrypted with the new one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.management import CommandError
from django.core.management.base import BaseCommand
from django.db import models, transaction
from django.utils.translation import gettext as _

from conversations.secrets import EncryptedTextField, Sealed

BATCH = 100  # rows that are locked at a time


class Command(BaseCommand):
    help = "Encrypt every stored secret with SECRET_KEY. After it, SECRET_KEY_FALLBACKS may go. Can be run again."

    def handle(self, *args: Any, **options: Any) -> None:
        done, sealed = 0, []
        for model, fields in encrypted_fields():
            for batch in _batches(model):
                with transaction.atomic():
                    for row in model._base_manager.select_for_update().filter(pk__in=batch).only(*fields):
                        values = {field: getattr(row, field) for field in fields}
                        sealed += [
                            f"{model._meta.label} {row.pk}: {field}"
                            for field, value in values.items()
                            if isinstance(value, Sealed)
                        ]
                        # Written back, a secret is encrypted anew, and one that no key opens stays as it is.
                        model._base_manager.filter(pk=row.pk).update(**values)
                        done += sum(bool(value) for value in values.values())
        self.stdout.write(_("{count} secrets are encrypted with SECRET_KEY.").format(count=done))
        if sealed:
            words = _(
                "No key opens these. They were left as they are; add their key to SECRET_KEY_FALLBACKS, or enter "
                "them anew:"
            )
            raise CommandError("\n".join([words, *sealed]))


def encrypted_fields() -> Iterator[tuple[type[models.Model], list[str]]]:
    """Every model that holds secrets, with the names of their fields."""
    for model in apps.get_models():
        fields = [field.attname for field in model._meta.local_fields if isinstance(field, EncryptedTextField)]
        if fields:
            yield model, fields


def _batches(model: type[models.Model]) -> Iterator[list[Any]]:
    last, rows = None, model._base_manager.order_by("pk").values_list("pk", flat=True)
    while batch := list((rows if last is None else rows.filter(pk__gt=last))[:BATCH]):
        yield batch
        last = batch[-1]
