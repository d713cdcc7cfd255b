"""How gunicorn serves, a reason above each line. https://gunicorn.org/reference/settings/

Names with an underscore are this file's own: gunicorn would take others for its settings.
"""

import gc as _gc
import os as _os
import resource as _resource
import signal as _signal
import socket as _socket
import sys as _sys
from contextlib import suppress as _suppress
from typing import Any as _Any

from helpdesk_numbers import logs as _logs
from helpdesk_numbers.log_lines import cleaned as _cleaned
from helpdesk_numbers.scratch import memory_folder as _memory_folder
from helpdesk_numbers.service import service_of_process as _service_of_process
from helpdesk_numbers.settings import ConfigurationError as _ConfigurationError

# Faults of the settings and the directory stop the start here: one message, from one process. On a
# reload (SIGHUP) the directory is left to the running app, which keeps the old one if it must.
try:
    _service = _service_of_process()
    if "app" not in _sys.modules:
        _service.directory  # noqa: B018 - made here to see whether it can be
    _settings = _service.settings
except _ConfigurationError as _error:
    raise SystemExit(f"helpdesk-numbers: {_cleaned(_error.message)}") from None

# Platforms say by PORT that they route to us, on IPv6 alone at some (Railway, Heroku Fir). Without
# it this is somebody's desk, so nobody else gets in.
_everywhere = "[::]" if _socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104 - see above
bind = f"{_everywhere if _os.environ.get('PORT') else '127.0.0.1'}:{_settings.port}"

# The app is made before the workers, and they inherit it: a large directory is read once, and a
# worker that dies is replaced even while the directory file has a fault. Connections and threads
# are made at their first use, thus in the worker.
preload_app = True

# Requests wait for carriers, which threads do cheaply; keep-alive works with threads alone.
worker_class = "helpdesk_numbers.worker.Worker"
workers = _settings.web_concurrency
threads = _settings.web_threads

# As many files and sockets as the system allows. Half of them for clients, since a request may need
# several for carriers. Beyond these a worker closes whoever has been idle longest.
_, _files = _resource.getrlimit(_resource.RLIMIT_NOFILE)
with _suppress(OSError, ValueError):  # macOS calls its limit infinite, and has another
    _resource.setrlimit(_resource.RLIMIT_NOFILE, (_files, _files))
_files, _ = _resource.getrlimit(_resource.RLIMIT_NOFILE)
worker_connections = min(1000, max(8, _files // 2)) if _files > 0 else 1000

# Longer than Heroku's router keeps an idle connection (90 s), so that it is always the router that
# closes: the other way round, a request may arrive at a connection just closed (H18).
# https://devcenter.heroku.com/articles/http-routing
keepalive = 95

# A worker that does not answer its master for so long is killed. Not a request's limit with
# threads: that is LOOKUP_DEADLINE.
timeout = 30

# Time for requests in flight after SIGTERM: a lookup's 4 s and some; below Cloud Foundry's 10 s,
# the shortest window that platforms give by default and that can be met.
graceful_timeout = 8


def on_starting(server: _Any) -> None:
    """Make the file in which the workers share last good answers."""
    _scratch.append(_service.share_answers())


def on_exit(server: _Any) -> None:
    """Remove it, with all numbers in it."""
    for folder in filter(None, _scratch):
        folder.remove()


_scratch: list[_Any] = []


def when_ready(server: _Any) -> None:
    """Stop on SIGINT as on SIGTERM. Fly sends it unless told otherwise, and gunicorn takes it for
    "at once": https://fly.io/docs/reference/configuration/#runtime-options
    """
    # What is in memory by now stays there. Were the workers' garbage collector to look at it, each
    # had a copy of some 5 MB: https://docs.python.org/3/library/gc.html#gc.freeze
    _gc.freeze()
    _signal.signal(_signal.SIGINT, lambda *_: _os.kill(server.pid, _signal.SIGTERM))


def post_fork(server: _Any, worker: _Any) -> None:
    """Look at the directory file as a worker starts. One that has seen the file without faults
    keeps its directory when an edit has some, even if nobody has asked that worker yet.
    """
    with _suppress(Exception):  # the requests answer it; raised here, it would end the master
        _service.directory.current()
    if _service.instances:
        _service.instances.begin()
    _service.begin_refreshing()


# A management surface in $HOME that nobody here uses; with a read-only $HOME it only warns.
control_socket_disable = True

# Heartbeat files in memory, where there is any: a slow disk must not make a worker look dead.
worker_tmp_dir = _memory_folder()

# X-Forwarded-Proto is judged by TRUSTED_PROXIES alone, in helpdesk_numbers/webhook.py, whatever
# FORWARDED_ALLOW_IPS says.
forwarded_allow_ips = ""

# HubSpot's URL is short; so is its head.
limit_request_line = 4094
limit_request_fields = 100

logconfig_dict = _logs.config(_settings.log_format, _settings.log_level)

# With `logconfig_dict`, gunicorn puts an access-log line together for each request, although nobody
# sees it: an eighth of the processor time of a short one.
logger_class = "helpdesk_numbers.worker.QuietLogger"
