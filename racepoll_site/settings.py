"""Django's settings, from environment variables, which `racepoll_site/` alone reads; `.env.example` explains each."""

import os
import secrets
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from polling import retention
from polling.cadence import DEFAULT_WINDOWS, Cadence, Window
from polling.files import UnreadableFile, make_private_folder, stored_secret
from racepoll_site.environment import Environment

BASE_DIR = Path(__file__).resolve().parent.parent
PROCESS_ONLY = ("RACEPOLL_VAR", "RACEPOLL_ENV_FILE")


def _make_var_folder(path: Path) -> Path:
    """Creates `var/`, for its owner alone: database, keys, the staff's login."""
    if not path.as_posix().isprintable():  # a line break, or bytes that are not UTF-8
        raise ImproperlyConfigured("RACEPOLL_VAR has characters that are not text")
    try:
        make_private_folder(path)
    except OSError as error:
        raise ImproperlyConfigured(f"RACEPOLL_VAR: {path}: {error.strerror}") from error
    return path


def _generated_secret_key() -> str:
    """A key made on first use and kept in `var/`: enough for one machine."""
    try:
        return stored_secret(VAR / "secret_key", lambda: secrets.token_urlsafe(50))
    except OSError as error:
        raise ImproperlyConfigured(f"RACEPOLL_VAR: {VAR / 'secret_key'}: {error.strerror}") from error
    except UnreadableFile as error:
        raise ImproperlyConfigured(f"RACEPOLL_VAR: {VAR / 'secret_key'} {error}") from error


def _env_file_path() -> Path:
    """The file that RACEPOLL_ENV_FILE names, `.env` without it."""
    named = os.environ.get("RACEPOLL_ENV_FILE", "").strip()
    try:
        if named:
            Path(named).stat()
    except FileNotFoundError:
        raise ImproperlyConfigured(f"RACEPOLL_ENV_FILE: there is no {named}") from None
    except OSError as error:
        raise ImproperlyConfigured(f"RACEPOLL_ENV_FILE: {named}: {error.strerror}") from error
    return Path(named or BASE_DIR / ".env")


VAR = _make_var_folder(Path(os.environ.get("RACEPOLL_VAR", "").strip() or BASE_DIR / "var").absolute())
env = Environment(_env_file_path())
_appwrite_names = ("APPWRITE_ENDPOINT", "APPWRITE_PROJECT_ID", "APPWRITE_API_KEY")
DATABASE_IS_NAMED = bool(env.text("DATABASE_URL"))
PROVIDER_IS_NAMED = bool(env.text("RACE_PROVIDERS"))
APPWRITE_IS_NAMED = any(map(env.text, _appwrite_names))
# What `manage.py up` simulates reaches its children by the environment, and other commands by these files,
# which count only while nothing real is named.
SIMULATED = env.names("RACEPOLL_SIMULATED")
DEMO_PROVIDER_FILE, DEMO_APPWRITE_FILE = VAR / "demo-provider.env", VAR / "demo-appwrite.env"
DEMO_NAMES = (
    *(() if PROVIDER_IS_NAMED else env.read(DEMO_PROVIDER_FILE)),
    *(() if PROVIDER_IS_NAMED or APPWRITE_IS_NAMED else env.read(DEMO_APPWRITE_FILE)),
)

# --- the site ---------------------------------------------------------------------------------------

PORT = env.integer("PORT", default=8000, least=1, most=65_000)
REDIS_URL = env.redis("REDIS_URL")
DATABASES = {"default": env.database("DATABASE_URL", VAR / "racepoll.sqlite3")}
_sqlite = DATABASES["default"]["ENGINE"].endswith("sqlite3")
SECRET_KEY = env.text("DJANGO_SECRET_KEY")
if not SECRET_KEY and (REDIS_URL or not _sqlite):
    SECRET_KEY = env.required("DJANGO_SECRET_KEY", "all machines of one database or Redis must share one")
SECRET_KEY = SECRET_KEY or _generated_secret_key()

DEBUG = env.flag("DJANGO_DEBUG", default=False)
ALLOWED_HOSTS = list(env.hosts("DJANGO_ALLOWED_HOSTS", ("127.0.0.1", "localhost")))
CSRF_TRUSTED_ORIGINS = list(env.origins("DJANGO_CSRF_TRUSTED_ORIGINS"))
BEHIND_PROXY = env.flag("DJANGO_HTTPS", default=False)
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_HSTS_SECONDS = 30 * 24 * 3600

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
    "csp",
    "races",
    "polling",
    "sandbox",
    "django_q",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "racepoll_site.middleware.RefuseNul",  # before the session, whose cookie is looked up
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",  # last
]
ROOT_URLCONF = "racepoll_site.urls"
WSGI_APPLICATION = "racepoll_site.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
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
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
        "base-uri": [NONE],
    }
}
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
# Five failed logins with one name from one address: none is tried for a quarter of an hour. The counts are in the
# database, for all web processes; axes removes those that have had their time at every login.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True  # one row for every login, for ever
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AXES_CLIENT_IP_CALLABLE = "racepoll_site.login_lockout.client_address"
AXES_LOCKOUT_CALLABLE = "racepoll_site.login_lockout.lockout_page"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"  # Django's own default is a page that is not here
STATIC_URL = "static/"
STATIC_ROOT = VAR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# --- the database and the cluster (why these values: docs/deployment.md) ---------------------------------

DATABASES["default"] |= {"CONN_MAX_AGE": 600}
if _sqlite:
    # IMMEDIATE takes the write lock before the first read, so that nothing fails as "database is locked".
    DATABASES["default"] |= {
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;",
        }
    }
else:
    # Below the limits of a tick (10 s) and a task: what waits for a lock fails and says so, instead of being cut off;
    # a host that stops inside a transaction, or is gone, keeps its locks and its peers from ticking for seconds only.
    _postgres = {
        "options": "-c lock_timeout=5s -c idle_in_transaction_session_timeout=15s",
        "connect_timeout": 5,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
    }
    DATABASES["default"] |= {
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": _postgres | DATABASES["default"].get("OPTIONS", {}),  # those of the URL win
    }

# django-q2's live figures go through a cache; a local-memory one would hide the cluster from the web process.
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "cluster": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": str(VAR / "cluster"),
    },
}
POLL_TICK = env.seconds("POLL_TICK_SECONDS", default=15, least=1, most=60)
if 60 % POLL_TICK.seconds:
    problem = f"is {POLL_TICK.seconds}, which does not divide a minute"
    POLL_TICK = env.reject("POLL_TICK_SECONDS", problem, timedelta(seconds=15))
POLL_WINDOWS = env.windows("POLL_WINDOWS", DEFAULT_WINDOWS)
_baseline = env.seconds("POLL_BASELINE_SECONDS", default=0, least=0, most=24 * 3600)
if _baseline:
    POLL_WINDOWS = (Window(timedelta(days=1), _baseline), *POLL_WINDOWS)
POLL_HOLD = env.seconds("POLL_HOLD_SECONDS", default=600, least=0, most=3600)
try:
    Cadence(POLL_WINDOWS, POLL_TICK, POLL_HOLD)
except ValueError as error:
    env.reject("POLL_WINDOWS", f"and POLL_TICK_SECONDS make no grid: {error}", None)
# Requests a minute, at once, and of these for staff alone; each provider has as many.
POLL_REQUESTS = (
    env.integer("POLL_REQUESTS_A_MINUTE", default=240, least=1, most=60_000),
    env.integer("POLL_REQUESTS_AT_ONCE", default=60, least=4, most=10_000),
    env.integer("POLL_REQUESTS_FOR_STAFF", default=5, least=0, most=1_000),
)
if POLL_REQUESTS[2] * 2 > POLL_REQUESTS[1]:
    env.reject("POLL_REQUESTS_FOR_STAFF", "is more than half of POLL_REQUESTS_AT_ONCE", None)
MONITOR_PING_URL = env.url("MONITOR_PING_URL", is_base=False)
POLL_TASK_TIMEOUT = timedelta(seconds=12)  # above the deadline of a request, below the step of 15 s
POLL_REQUEST_DEADLINE = timedelta(seconds=8)
POLL_FAST_WORKERS = env.integer("POLL_FAST_WORKERS", default=0, least=0, most=64)
_fast_pool = {"workers": POLL_FAST_WORKERS, "queue_limit": 1, "scheduler": False}
Q_CLUSTER = {
    "name": "racepoll",
    "broker_class": "polling.worker.broker.RedisBroker" if REDIS_URL else "polling.worker.broker.OrmBroker",
    "cache": "cluster",
    "workers": env.integer("POLL_WORKERS", default=4, least=1, most=64),
    "queue_limit": 2,
    "bulk": 1,
    "poll": 0.1,
    "guard_cycle": 0.5,
    "timeout": POLL_TASK_TIMEOUT.seconds,
    "retry": 120,
    "ack_failures": True,
    "max_attempts": 1,
    "catch_up": False,
    "save_limit": 100,
    "recycle": 500,
    "max_rss": 300_000,
    "label": "Task queue",
    **({"redis": REDIS_URL} if REDIS_URL else {"orm": "default"}),
    # A queue of their own for the races about to start.
    **({"ALT_CLUSTERS": {"fast": _fast_pool}} if POLL_FAST_WORKERS else {}),
}

# --- retention (what each covers: polling/retention.py) -------------------------------------------------------

RETENTION = {
    rows.name: timedelta(
        days=env.integer(rows.variable, default=rows.days, least=rows.least_days, most=retention.MOST_DAYS)
    )
    for rows in retention.RETENTIONS
}

# --- providers -------------------------------------------------------------------------------------------

RACE_PROVIDERS = env.names("RACE_PROVIDERS")
RACE_DETAIL = env.choice("RACE_DETAIL", ("always", "until_start", "changed"), "until_start")
SANDBOX_PROVIDER_URL = env.url("SANDBOX_PROVIDER_URL")
TAB_AFFILIATES_URL = env.url("TAB_AFFILIATES_URL", "https://api.tab.co.nz/affiliates/v1")
PROVIDER_CA_FILE = env.ca_file("PROVIDER_CA_FILE")
PROVIDER_PROXY = env.proxy("PROVIDER_PROXY")
_why = "the TAB affiliates API asks every caller to say who it is"
_tab = "tab_affiliates" in RACE_PROVIDERS
TAB_AFFILIATES_IDENTITY = {
    header: env.required(name, _why) if _tab else env.text(name)
    for header, name in {
        "From": "TAB_AFFILIATES_CONTACT_EMAIL",
        "X-Partner": "TAB_AFFILIATES_PARTNER",
        "X-Partner-ID": "TAB_AFFILIATES_PARTNER_ID",
    }.items()
}
# Every provider there is, and the setting that holds its address.
PROVIDER_URL_SETTINGS = {"tab_affiliates": "TAB_AFFILIATES_URL", "sandbox": "SANDBOX_PROVIDER_URL"}
for _name in RACE_PROVIDERS:
    if _name not in PROVIDER_URL_SETTINGS:
        _there_are = ", ".join(PROVIDER_URL_SETTINGS)
        env.reject("RACE_PROVIDERS", f"names the unknown provider {_name!r}; there are {_there_are}", None)
if "sandbox" in RACE_PROVIDERS and not SANDBOX_PROVIDER_URL:
    env.required("SANDBOX_PROVIDER_URL", "RACE_PROVIDERS names the sandbox; `make run` sets both")

# --- Appwrite --------------------------------------------------------------------------------------------

APPWRITE_ENDPOINT = env.url("APPWRITE_ENDPOINT")
APPWRITE_CA_FILE = env.ca_file("APPWRITE_CA_FILE")
APPWRITE_PROXY = env.proxy("APPWRITE_PROXY")
_header = (r"[\x21-\x7e]+", "plain ASCII without spaces")
_id = (r"[A-Za-z0-9][A-Za-z0-9._-]{0,35}", "an Appwrite id: up to 36 of a-z, A-Z, 0-9, '.', '-' and '_'")
APPWRITE_PROJECT_ID = env.matching("APPWRITE_PROJECT_ID", *_header)
APPWRITE_API_KEY = env.matching("APPWRITE_API_KEY", *_header)
APPWRITE_DATABASE_ID = env.matching("APPWRITE_DATABASE_ID", *_id, default="racepoll")
APPWRITE_POLL_LOGS = env.choice("APPWRITE_POLL_LOGS", ("errors", "all", "none"), "errors")
APPWRITE_SWEEP_MINUTES = env.integer("APPWRITE_SWEEP_MINUTES", default=10, least=1, most=720)
APPWRITE_WEBHOOK_SECRET = env.matching("APPWRITE_WEBHOOK_SECRET", ".{8,256}", "8 to 256 characters, as Appwrite takes")
# To the letter, the last slash too: the signature of a call covers it.
APPWRITE_WEBHOOK_URL = env.url("APPWRITE_WEBHOOK_URL", is_base=False) and env.text("APPWRITE_WEBHOOK_URL")
APPWRITE_WEBHOOK_ID = env.matching("APPWRITE_WEBHOOK_ID", *_id)
if APPWRITE_WEBHOOK_URL or APPWRITE_WEBHOOK_ID:
    env.required("APPWRITE_WEBHOOK_SECRET", "a webhook is named, and its calls are known by their signature alone")
if any((APPWRITE_ENDPOINT, APPWRITE_PROJECT_ID, APPWRITE_API_KEY)):
    for _name in _appwrite_names:
        env.required(_name, "Appwrite needs endpoint, project and key; set all three or none")
_host = urlsplit(APPWRITE_ENDPOINT).netloc.rpartition("@")[2]  # never a password
APPWRITE_TARGET = f"{APPWRITE_PROJECT_ID}/{APPWRITE_DATABASE_ID}@{_host}"

# --- logging ---------------------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "polling.log_lines.OneLineFormatter",
            "format": "{asctime} {levelname:<7} {name}: {message}",
            "style": "{",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "polling": {"level": env.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), "INFO")},
        # The queue logs five lines per task at INFO; the poll log is our record.
        "django-q": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        "racepoll_site": {"level": "INFO"},
        # One line for every failed login, and for every wrong address: the caller's own business.
        "axes": {"level": "ERROR"},
        "django.request": {"level": "ERROR"},
        # It logs at WARNING how many requests wait, one line each.
        "waitress": {"level": "ERROR"},
    },
}

env.check(*PROCESS_ONLY)
