"""Django's PostgreSQL backend, whose pool waits no longer than a request may, and hands out no dead connection."""
