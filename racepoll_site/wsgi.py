"""The WSGI entry point, for a web server of one's own; `manage.py web` brings one along."""

import os

from django.core.wsgi import get_wsgi_application

os.umask(0o077)  # as manage.py
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "racepoll_site.settings")
application = get_wsgi_application()
