"""gunicorn for one small machine; larger ones override by flags."""

wsgi_app = "racepoll_site.wsgi"
worker_class = "gthread"
workers = 1
threads = 4
control_socket_disable = True  # it would want a writable home
