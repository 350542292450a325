"""`manage.py erase_contact`: forgets one person, on request."""

from __future__ import annotations

import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from conversations.erasure import erase_later
from conversations.models import Contact


class Command(BaseCommand):
    help = (
        "Erase a contact: messages, files, jobs, and the provider's own copies. A worker does it; the certificate that "
        "is printed says when it is done, and holds nothing of the contact."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("workspace", help="the slug of the workspace")
        parser.add_argument("address", help="as the contact writes from it, for example +5511912345678")

    def handle(self, *args: Any, workspace: str, address: str, **options: Any) -> None:
        contacts = Contact.objects.filter(workspace__slug=workspace, address=address)
        if not contacts:
            raise CommandError(_("There is no such contact in the workspace “{slug}”.").format(slug=workspace))
        for contact in contacts:  # one for WhatsApp, one for SMS
            erasure = erase_later(contact, by=getpass.getuser(), now=timezone.now())
            self.stdout.write(_("Certificate: {reference}").format(reference=erasure.reference))
