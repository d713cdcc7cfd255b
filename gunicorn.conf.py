"""gunicorn finds this file by its name; what it says is in helpdesk_numbers/gunicorn_conf.py."""

import os as _os
import sys as _sys

_sys.path.insert(0, _os.path.dirname(_os.path.abspath(__file__)))  # read before gunicorn does this

from helpdesk_numbers.gunicorn_conf import *  # noqa: F403 - the settings are its names
