"""gunicorn's threaded worker, where no client can hold a thread, or the loop that accepts the others, for long.

gunicorn's own waits without end for the rest of a request, so a few connections that were lost halfway stop a process
for good; and it waits up to 2 s, in the loop that accepts, for a client to close a connection that we have closed.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from errno import ECONNRESET
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

REQUEST_SECONDS = 5.0  # for all of a request to arrive; Twilio's need milliseconds, and it gives up after 4 s
RESPONSE_SECONDS = 10.0  # for a chunk of an answer to leave
LINGER_SECONDS = 0.2  # for the client to read the end of the answer to a request that was not read to its end


class Connection(socket.socket):
    """A client's. Reading fails like a lost connection when its time is up."""

    deadline = float("inf")

    def recv(self, *args: Any) -> bytes:
        left = self.deadline - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError
            self.settimeout(left)
            return super().recv(*args)
        except TimeoutError:
            raise ConnectionResetError(ECONNRESET, "the client was too slow") from None
        finally:
            self.settimeout(RESPONSE_SECONDS)


class WebWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn is not annotated
    def enqueue_req(self, conn: Any) -> None:
        if not isinstance(conn.sock, Connection):
            conn.sock = Connection(fileno=conn.sock.detach())
        super().enqueue_req(conn)

    def handle(self, conn: Any) -> Any:
        """In one of the threads: a request, from its first byte to the last one of its answer."""
        conn.sock.deadline = time.monotonic() + REQUEST_SECONDS
        stays_open = super().handle(conn)
        if stays_open is False:  # gunicorn waits for the client's end next, and finds that this has been done
            self._say_goodbye(conn.sock)
        return stays_open

    def _say_goodbye(self, connection: Connection) -> None:
        """An answer is lost when the connection is closed over bytes that nobody read: read them, for a moment."""
        connection.deadline = time.monotonic() + LINGER_SECONDS
        with suppress(OSError):  # closed by the client, or out of time
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
