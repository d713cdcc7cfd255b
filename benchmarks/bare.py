"""Baseline `bare`: the least that Flask can do. No signature, no lookup, no log."""

from flask import Flask
from flask.typing import ResponseReturnValue

app = Flask(__name__)
NUMBERS = [
    {
        "e164PhoneNumber": f"+120255501{index:02}",
        "extension": None,
        "friendlyName": f"Line {index}",
    }
    for index in range(10)
]


@app.post("/hubspot/phone-numbers")
def phone_numbers() -> ResponseReturnValue:
    return {"phoneNumbers": NUMBERS}
