"""The settings of the tests: the product's own, with a database, passwords and files fit for tests."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_var = tempfile.mkdtemp(prefix="racepoll-tests-")
atexit.register(shutil.rmtree, _var, ignore_errors=True)
(Path(_var) / "static").mkdir()
os.environ.update(RACEPOLL_VAR=_var, RACEPOLL_ENV_FILE=os.devnull)
for _name in [name for name in os.environ if name.startswith(("APPWRITE_", "TAB_AFFILIATES_", "RACE_"))]:
    del os.environ[_name]
os.environ.update(RACE_PROVIDERS="sandbox", SANDBOX_PROVIDER_URL="http://127.0.0.1:9/affiliates/v1")

from racepoll_site.settings import *  # noqa: E402, F403
from racepoll_site.settings import DATABASES, STORAGES  # noqa: E402

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, not memory: threads of one test must see one database, as in production.
    DATABASES["default"]["TEST"] = {"NAME": str(Path(_var) / "test.sqlite3")}
DATABASES["default"]["CONN_MAX_AGE"] = 0
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
