"""Every setting, from the environment; what is wrong is named where it is read."""

import secrets
from pathlib import Path

import django_stubs_ext
import environ

from registry.refusal import ExitCode, Reason, Refused

django_stubs_ext.monkeypatch()

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent.parent

# Everything this machine keeps: database, capture log, archive, servers' files.
SSMD_HOME = Path(env.str("SSMD_HOME", default="var")).absolute()
RUN_DIR = SSMD_HOME / "run"
CAPTURE_DIR = SSMD_HOME / "capture"
# Mounted secrets: <folder>/<secret name>/<key>. Never stored anywhere else.
SSMD_SECRETS_DIR = Path(env.str("SSMD_SECRETS_DIR", default=str(SSMD_HOME / "secrets"))).absolute()


def _refused_home(problem: str) -> Refused:
    remedy = "Set SSMD_HOME to a folder you may write to, e.g. SSMD_HOME=$HOME/ssmd-data."
    return Refused([Reason(problem, remedy)], exit_code=ExitCode.PERMISSION)


def _is_folder_or_absent(home: Path) -> None:
    in_the_way = next((place for place in (home, *home.parents) if place.exists()), home)
    if in_the_way.exists() and not in_the_way.is_dir():
        what = "" if in_the_way == home else f": {in_the_way}"
        raise _refused_home(f"SSMD_HOME {home} cannot be used{what or ': it'} is a file, not a folder")


def _secret_key() -> str:
    """Django's key from DJANGO_SECRET_KEY, or this machine's own, made once and kept under SSMD_HOME/run.

    Where nothing was written yet it is only in memory: a command that reads leaves no folders behind.
    """
    given: str = env.str("DJANGO_SECRET_KEY", default="")
    if given:
        return given
    kept = RUN_DIR / "django_secret_key"
    try:
        return kept.read_text()
    except FileNotFoundError:
        return _keep_new_secret_key(kept) if RUN_DIR.is_dir() else secrets.token_urlsafe(50)
    except OSError as error:
        raise _refused_home(f"SSMD_HOME {SSMD_HOME}: {kept} cannot be read: {error.strerror}") from error


def _keep_new_secret_key(kept: Path) -> str:
    key = secrets.token_urlsafe(50)
    try:
        with open(kept, "x", opener=_owner_only) as file:
            file.write(key)
    except FileExistsError:  # another process was first
        return kept.read_text()
    except OSError:  # nothing can be kept here; the command that needs the folder says so
        return key
    return key


def _owner_only(path: str, flags: int) -> int:
    import os

    return os.open(path, flags, 0o600)


_is_folder_or_absent(SSMD_HOME)
SECRET_KEY = _secret_key()
DEBUG = env.bool("DJANGO_DEBUG", default=False)
ALLOWED_HOSTS = env.list("DJANGO_ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "simple_history",
    "rest_framework",
    "django_filters",
    "django_celery_beat",
    "registry",
    "secmaster",
    "ssmd",
]
# A command that only reads the registry sets this for itself (ssmd/cli/main.py): Celery's models,
# the admin and REST would triple its start.
if env.bool("SSMD_LIGHT", default=False):
    INSTALLED_APPS = [
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.postgres",
        "simple_history",
        "registry",
        "secmaster",
    ]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
]

ROOT_URLCONF = "ssmd.urls"
ASGI_APPLICATION = "ssmd.asgi.application"

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

# --- database: SQLite under SSMD_HOME, or DATABASE_URL ------------------------------------------------
DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{SSMD_HOME / 'registry.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Many processes write: deferred transactions would answer "database is locked".
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
    }
else:
    DATABASES["default"].update(CONN_HEALTH_CHECKS=True, CONN_MAX_AGE=60)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- broker and channel layer ---------------------------------------------------------------------------
REDIS_URL = env.str("REDIS_URL", default="")
CHANNEL_LAYERS = {
    "default": (
        {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [REDIS_URL]}}
        if REDIS_URL
        else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    )
}
CELERY_BROKER_URL = REDIS_URL or "memory://"
CELERY_TASK_IGNORE_RESULT = True
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 600
CELERY_TASK_ROUTES = {"ssmd.tasks.seal_step": {"queue": "seal"}}  # workers with `-Q seal` share a day's work
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 7200}  # longer than the longest task
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"

# --- the bus, for environments whose transport says `url: embedded` ----------------------------------------
NATS_URL = env.str("NATS_URL", default="")

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
# The admin shows times as everything else does.
USE_I18N = False
FORMAT_MODULE_PATH = ["ssmd.formats"]
# History is looked at, never reverted to: a past row is closed, not edited.
SIMPLE_HISTORY_REVERT_DISABLED = True
STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True  # files straight from the packages: no collectstatic, no STATIC_ROOT
WHITENOISE_AUTOREFRESH = DEBUG

LOGIN_URL = "admin:login"
SESSION_COOKIE_HTTPONLY = True
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "EXCEPTION_HANDLER": "registry.problems.problem_handler",
    "DEFAULT_PERMISSION_CLASSES": ["registry.permissions.LoopbackOrSignedIn"],
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
