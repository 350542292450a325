"""What a first look is given: an operator who can log in, and a small shop's knowledge for the offline assistant."""

from __future__ import annotations

import secrets

from django.contrib.auth import get_user_model
from django.db import transaction

from conversations.models import KnowledgeEntry, Workspace

OPERATOR = "admin"

KNOWLEDGE = [
    ("Opening hours", "We are open Monday to Friday from 8:00 to 18:00, and on Saturday from 9:00 to 13:00."),
    ("Address", "You find us at 120 Rua das Flores, downtown, two blocks from the central station. Parking is free."),
    ("Delivery", "We deliver within the city in 24 hours for R$ 12. Orders above R$ 150 are delivered free of charge."),
    ("Payment", "You can pay by Pix, credit card, debit card or cash. Credit cards can be paid in three instalments."),
    ("Returns and refunds", "You can return a product within 30 days, unused. The refund takes five working days."),
    ("Horário de funcionamento", "Abrimos de segunda a sexta, das 8h às 18h, e aos sábados, das 9h às 13h."),
    ("Endereço", "Estamos na Rua das Flores, 120, no centro, perto da estação. O estacionamento é gratuito."),
    ("Entrega", "Entregamos na cidade em até 24 horas por R$ 12. Para pedidos acima de R$ 150, a entrega é grátis."),
    ("Pagamento", "Aceitamos Pix, cartão de crédito ou débito e dinheiro. No crédito, parcelamos em três vezes."),
    ("Trocas e devoluções", "Você pode devolver um produto sem uso em até 30 dias. O reembolso leva cinco dias úteis."),
]  # fmt: skip


def add_demo_knowledge(workspace: Workspace) -> bool:
    """Give `workspace` something to answer from, unless it has knowledge of its own. Returns whether it was given."""
    if workspace.knowledge.exists():
        return False
    KnowledgeEntry.objects.bulk_create(
        KnowledgeEntry(workspace=workspace, title=title, body=body) for title, body in KNOWLEDGE
    )
    return True


@transaction.atomic
def make_operator() -> str | None:
    """Make the first operator. Returns their password, which is kept nowhere, or None when there is an operator."""
    users = get_user_model().objects
    if users.exists():
        return None
    password = secrets.token_urlsafe(12)
    users.create_superuser(username=OPERATOR, email="", password=password)
    return password
