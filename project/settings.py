"""Everything that can be configured, read from the environment and from `.env`. `.env.example` documents each name."""

from __future__ import annotations

import hashlib
import hmac
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from .environment import Environment
from .logging import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment(Path(os.environ.get("ENV_FILE") or BASE_DIR / ".env"))

# What a running installation writes: the SQLite file, collected static files, the twin's journal.
VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var"))).resolve()
try:
    (VAR_DIR / "static").mkdir(parents=True, exist_ok=True)
except OSError as error:
    raise SystemExit(f"VAR_DIR cannot be written to: {error}") from None

# --- Django ---------------------------------------------------------------------------------------------------------
SECRET_KEY = env.str("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
DEBUG = env.bool("DEBUG", default=False)
PORT = env.int("PORT", default=8000)
SANDBOX = env.bool("SANDBOX", default=False)

# What the world calls us by. Twilio signs it, links are made with it, and it says whether we are reached over https.
_LOCAL_URL = f"http://127.0.0.1:{PORT}"
PUBLIC_BASE_URL = env.str("PUBLIC_BASE_URL", default=_LOCAL_URL if SANDBOX or DEBUG else "").rstrip("/")
_public = urlsplit(PUBLIC_BASE_URL)
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]", *filter(None, [_public.hostname])]
)
CSRF_TRUSTED_ORIGINS = [f"{_public.scheme}://{_public.netloc}"] if _public.netloc else []
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _public.scheme == "https"
SECURE_PROXY_SSL_HEADER = None
if _header := env.str("SECURE_PROXY_SSL_HEADER", default=""):  # believed from anyone: only where a proxy always sets it
    SECURE_PROXY_SSL_HEADER = (f"HTTP_{_header.upper().replace('-', '_')}", "https")

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "project",
    "channels_twilio",
    "conversations",
    "queueing",  # before django_rq: `rqworker` and `rqscheduler` are ours on every backend
    "django_rq",
    "django_tasks",
]
MIDDLEWARE = [
    "project.correlation.CorrelationMiddleware",
    "project.deadline.DeadlineMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "project.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
APPEND_SLASH = False  # Twilio follows a redirect as a GET without its parameters
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGES = [("en", "English"), ("pt-br", "Português (Brasil)")]
LANGUAGE_CODE = env.choice("LANGUAGE_CODE", [code for code, _ in LANGUAGES], default="en")
LOCALE_PATHS = [BASE_DIR / "project" / "unfold_locale"]  # unfold comes without translations
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
WHITENOISE_USE_FINDERS = DEBUG

LOGGING = logging_config(
    style=env.choice("LOG_FORMAT", ("json", "console"), default="console" if DEBUG or sys.stderr.isatty() else "json"),
    level=env.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), default="INFO"),
)

# --- Admin ----------------------------------------------------------------------------------------------------------
UNFOLD = {
    "SITE_TITLE": "Recado",
    "SITE_HEADER": "Recado",
    "SITE_SYMBOL": "forum",
    "SHOW_VIEW_ON_SITE": False,
    "SIDEBAR": {"navigation": "project.navigation.navigation"},
    "STYLES": [lambda _request: f"{STATIC_URL}project/admin.css"],
    "COLORS": {
        "primary": {  # the green of a message that has come
            "50": "oklch(98.2% .018 155.826)",
            "100": "oklch(96.2% .044 156.743)",
            "200": "oklch(92.5% .084 155.995)",
            "300": "oklch(87.1% .15 154.449)",
            "400": "oklch(79.2% .209 151.711)",
            "500": "oklch(69% .17 152)",
            "600": "oklch(52% .13 152)",
            "700": "oklch(46% .115 152)",
            "800": "oklch(40% .09 152)",
            "900": "oklch(34% .07 152)",
            "950": "oklch(26.6% .065 152.934)",
        }
    },
}

# --- Database -------------------------------------------------------------------------------------------------------
DATABASES = {"default": env.database("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'recado.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["ENGINE"] = "project.sqlite"  # Django's own, with the threads of a process in a line
    # IMMEDIATE: a transaction that reads first and writes later would fail at once among other writers, whatever the
    # timeout. FULL: what was answered 200 survives a power cut. The timeout lets a webhook say 503 within 3 s.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 2,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON",
    }
    DATABASES["default"]["CONN_MAX_AGE"] = None
else:
    from .postgresql.connection import Connection  # psycopg only where it is used

    DATABASES["default"]["ENGINE"] = "project.postgresql"
    DATABASES["default"]["OPTIONS"] = {
        # No thread keeps a connection during a call outside, so few connections serve many threads.
        "pool": {
            "connection_class": Connection,
            "min_size": 1,
            "max_size": env.int("DATABASE_POOL_SIZE", default=10),
            # Who asks in vain asks again, in his own way: the pool would try less and less often by itself.
            "timeout": 5,
            "reconnect_timeout": 4,
        },
        "connect_timeout": 2,
        # A server that is lost without a word is noticed; a statement whose client is gone, or gave up, is ended.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
        "options": "-c client_connection_check_interval=1000",
        **DATABASES["default"].get("OPTIONS", {}),  # sslmode and others of the URL
    }

# Processes take turns at an SQLite file in no order: of two busy ones, one may wait until it gives up.
WEB_CONCURRENCY = env.int("WEB_CONCURRENCY", default=1 if DATABASES["default"]["ENGINE"] == "project.sqlite" else 2)

# --- Queue ----------------------------------------------------------------------------------------------------------
QUEUE_URL = env.str("QUEUE_URL", default="database://")
QUEUE_LEASE_SECONDS = env.float("QUEUE_LEASE_SECONDS", default=60)
QUEUE_DRAIN_SECONDS = env.float("QUEUE_DRAIN_SECONDS", default=20)
QUEUE_HARD_TIMEOUT_GRACE_SECONDS = env.float("QUEUE_HARD_TIMEOUT_GRACE_SECONDS", default=10)
QUEUE_FAIRNESS_CAP = env.int("QUEUE_FAIRNESS_CAP", default=0)
TASKS = {  # what other apps declare with Django's `@task` runs on this queue, in these of its lanes
    "default": {"BACKEND": "queueing.django_tasks.RecadoBackend", "QUEUES": ["default", "maintenance"]}
}
QUEUE_KEEP_SUCCEEDED_DAYS = env.float("QUEUE_KEEP_SUCCEEDED_DAYS", default=7)
QUEUE_KEEP_DEAD_DAYS = env.float("QUEUE_KEEP_DEAD_DAYS", default=90)
SCHEDULER_INTERVAL_SECONDS = env.int("SCHEDULER_INTERVAL_SECONDS", default=60)
RECONCILE_INTERVAL_SECONDS = env.int("RECONCILE_INTERVAL_SECONDS", default=300)
RQ_PAGES = QUEUE_URL.startswith(("redis://", "rediss://"))
RQ_SHOW_ADMIN_LINK = False  # those pages are not guarded, and fail without Redis: ours are in queueing/rq_pages.py
# The lanes of the tasks are added to this one when they are known, in queueing/apps.py.
RQ_QUEUES: dict[str, dict[str, object]] = {"default": {"URL": QUEUE_URL if RQ_PAGES else "redis://"}}
RQ = {
    "JOB_CLASS": "queueing.backends.rq_rings.Ring",
    "QUEUE_CLASS": "queueing.backends.rq_rings.RingQueue",
    "SCHEDULER_CLASS": "queueing.backends.rq_schedule.RingScheduler",
    "COMMIT_MODE": "auto",
}

# --- Seen from outside ----------------------------------------------------------------------------------------------
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")

# --- Conversations --------------------------------------------------------------------------------------------------
CHANNELS = {"twilio": {"BACKEND": "channels_twilio.channel.TwilioChannel"}}
REPLY_DEBOUNCE_SECONDS = env.float("REPLY_DEBOUNCE_SECONDS", default=2)
REPLY_DEBOUNCE_MAX_SECONDS = env.float("REPLY_DEBOUNCE_MAX_SECONDS", default=15)
CONVERSATION_IDLE_MINUTES = env.float("CONVERSATION_IDLE_MINUTES", default=60)
CONVERSATION_EXPIRY_MINUTES = env.float("CONVERSATION_EXPIRY_MINUTES", default=1440)
CONVERSATION_PENDING_EXPIRY_MINUTES = env.float("CONVERSATION_PENDING_EXPIRY_MINUTES", default=2880)

# Files that contacts send. Only operators see them, through the admin: the web server never serves this directory.
MEDIA_ROOT = VAR_DIR / "media"
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"file_permissions_mode": 0o600, "directory_permissions_mode": 0o700},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
MEDIA_MAX_BYTES = env.int("MEDIA_MAX_BYTES", default=16 * 1024 * 1024)  # WhatsApp's own limit
MEDIA_TIMEOUT_SECONDS = env.float("MEDIA_TIMEOUT_SECONDS", default=30)

# --- Voice notes ----------------------------------------------------------------------------------------------------
TRANSCRIPTION_BASE_URL = env.str("TRANSCRIPTION_BASE_URL", default="")
TRANSCRIPTION_MODEL = env.str("TRANSCRIPTION_MODEL", default="whisper-1")
TRANSCRIPTION_API_KEY = env.str("TRANSCRIPTION_API_KEY", default="")
TRANSCRIPTION_TIMEOUT_SECONDS = env.float("TRANSCRIPTION_TIMEOUT_SECONDS", default=45)

# --- Assistant ------------------------------------------------------------------------------------------------------
AI_MODEL = env.str("AI_MODEL", default="offline")
AI_TIMEOUT_SECONDS = env.float("AI_TIMEOUT_SECONDS", default=45)
OPENAI_BASE_URL = env.str("OPENAI_BASE_URL", default="")

# --- Twilio ---------------------------------------------------------------------------------------------------------
# The sandbox has credentials of its own, so that a message takes the very way, signatures included, of a real one.
SANDBOX_ACCOUNT_SID = "AC5a9db0c5a9db0c5a9db0c5a9db0c5a9d"
SANDBOX_AUTH_TOKEN = hmac.new(SECRET_KEY.encode(), b"the sandbox's auth token", hashlib.sha256).hexdigest()[:32]
SANDBOX_FROM = ["whatsapp:+15550100001", "+15550100002"]
TWIN_PORT = env.int("TWIN_PORT", default=PORT + 1)
TWILIO_ACCOUNT_SID = env.str("TWILIO_ACCOUNT_SID", default=SANDBOX_ACCOUNT_SID if SANDBOX else "")
TWILIO_AUTH_TOKEN = env.str("TWILIO_AUTH_TOKEN", default=SANDBOX_AUTH_TOKEN if SANDBOX else "")
TWILIO_FROM = env.list("TWILIO_FROM", default=SANDBOX_FROM if SANDBOX else [])
TWILIO_API_BASE_URL = env.str("TWILIO_API_BASE_URL", default=f"http://127.0.0.1:{TWIN_PORT}" if SANDBOX else "")
