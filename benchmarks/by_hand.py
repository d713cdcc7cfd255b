"""Baseline `by-hand`: what a developer would write from the quick starts of Flask, HubSpot and
Twilio, with the official client as it comes, one for the process. No deadline, no log.

Fair to it: only numbers that take calls, names cut to 24 characters, signature compared safely.
"""

import base64
import hashlib
import hmac
import json
import os
import time

from flask import Flask, abort, request
from flask.typing import ResponseReturnValue
from twilio.rest import Client

app = Flask(__name__)
secret = os.environ["PEER_SECRET"].encode()
accounts = json.loads(os.environ["PEER_ACCOUNTS"])  # portal → SID of its sub-account
client = Client(os.environ["PEER_SID"], os.environ["PEER_TOKEN"])  # type: ignore[no-untyped-call] # twilio
client.api.base_url = os.environ["PEER_CARRIER"]  # the one line that no quick start has


@app.post("/hubspot/phone-numbers")
def phone_numbers() -> ResponseReturnValue:
    timestamp = request.headers.get("X-HubSpot-Request-Timestamp", "0")
    if abs(time.time() * 1000 - int(timestamp)) > 5 * 60 * 1000:
        abort(401)
    source = request.method + request.url + request.get_data(as_text=True) + timestamp
    digest = hmac.new(secret, source.encode(), hashlib.sha256).digest()
    given = request.headers.get("X-HubSpot-Signature-v3", "")
    if not hmac.compare_digest(base64.b64encode(digest).decode(), given):
        abort(401)
    sid = accounts[str(request.get_json()["portalId"])]
    numbers = client.api.accounts(sid).incoming_phone_numbers.list()
    return {
        "phoneNumbers": [
            {
                "e164PhoneNumber": number.phone_number,
                "extension": None,
                "friendlyName": (number.friendly_name or "")[:24],
            }
            for number in numbers
            if number.capabilities
            and number.capabilities["voice"]  # type: ignore[index] # twilio: typed as object
            and number.voice_receive_mode != "fax"  # type: ignore[comparison-overlap] # and this
        ]
    }
