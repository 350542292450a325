"""Times signed inbound webhooks against the web process as the Procfile starts it: `python -m bench.webhook [SECONDS]`.

Without DATABASE_URL it makes a SQLite file of its own, with the product's durable settings. Each request is a new
message of one of many contacts: it is verified, and stored with the job that answers it, before it is answered.
Figures of one machine mean little; ratios of figures from one run mean more. Nothing here is a test.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import itertools
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parent.parent
PORT = int(os.environ.get("PORT", "8765"))
URL = f"http://127.0.0.1:{PORT}/webhooks/twilio/inbound/"
ACCOUNT_SID, AUTH_TOKEN = "AC" + "b" * 32, "a token of the benchmarks"
CONNECTIONS, CONTACTS, WARM_UP = 32, 500, 1.0


def requests() -> Iterator[bytes]:
    """Made outside the measured time, as Twilio makes them."""
    for number in itertools.count():
        params = {
            "MessageSid": f"SM{number:032x}",
            "AccountSid": ACCOUNT_SID,
            "From": f"whatsapp:+1555{number % CONTACTS:07}",
            "To": "whatsapp:+15550100001",
            "Body": f"Olá, quero agendar um horário amanhã ({number})",
            "NumMedia": "0",
            "ProfileName": "Ana",
            "WaId": f"1555{number % CONTACTS:07}",
            "MessageType": "text",
            "SmsStatus": "received",
            "ApiVersion": "2010-04-01",
        }
        signed = URL + "".join(name + value for name, value in sorted(params.items()))
        signature = base64.b64encode(hmac.digest(AUTH_TOKEN.encode(), signed.encode(), hashlib.sha1)).decode()
        body = urlencode(params)
        head = (
            f"POST /webhooks/twilio/inbound/ HTTP/1.1\r\nHost: 127.0.0.1:{PORT}\r\nX-Twilio-Signature: {signature}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        yield (head + body).encode()


async def connection(todo: Iterator[bytes], until: float, times: list[tuple[float, float]], statuses: Counter[int]):
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    while time.monotonic() < until:
        started = time.monotonic()
        writer.write(next(todo))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        statuses[int(head.split()[1])] += 1
        times.append((time.monotonic(), time.monotonic() - started))
        if b"connection: close" in head:
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    writer.close()


async def load(seconds: float) -> None:
    todo = iter(list(itertools.islice(requests(), int((seconds + WARM_UP) * 3000))))
    times: list[tuple[float, float]] = []
    statuses: Counter[int] = Counter()
    began = time.monotonic()
    until = began + WARM_UP + seconds
    await asyncio.gather(*(connection(todo, until, times, statuses) for _ in range(CONNECTIONS)))
    took = sorted(latency * 1000 for at, latency in times if at > began + WARM_UP)
    p50, p99 = statistics.median(took), took[len(took) * 99 // 100]
    print(
        f"{len(took) / seconds:8.0f} requests/s   p50 {p50:.1f} ms   p99 {p99:.1f} ms   longest {took[-1]:.0f} ms   "
        f"answers {dict(statuses)}"
    )


def main(seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="recado-bench-") as directory:
        env = {
            "ENV_FILE": os.devnull,
            "SECRET_KEY": "a key of the benchmarks, longer than fifty characters, and of no use elsewhere",
            "PUBLIC_BASE_URL": f"http://127.0.0.1:{PORT}",
            "PORT": str(PORT),
            "VAR_DIR": directory,
            "DATABASE_URL": f"sqlite:///{directory}/bench.sqlite3",
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "TWILIO_FROM": "whatsapp:+15550100001",
            "LOG_LEVEL": "WARNING",
        } | os.environ
        subprocess.run([sys.executable, "manage.py", "setup"], cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL)
        command = [str(Path(sys.executable).parent / "gunicorn"), "-c", "python:project.gunicorn", "project.wsgi"]
        web = subprocess.Popen(command, cwd=ROOT, env=env, start_new_session=True, stderr=subprocess.DEVNULL)
        try:
            wait_for_answers(web)
            asyncio.run(load(seconds))
        finally:
            os.killpg(web.pid, signal.SIGKILL)
            web.wait()


def wait_for_answers(web: subprocess.Popen[bytes]) -> None:
    while web.poll() is None:
        try:
            urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the web process did not start")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10)
