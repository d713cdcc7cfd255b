"""Signs with HubSpot's own Python client, whose package is also called `hubspot`.

Runs in an environment of its own. Reads a JSON object a line, writes a signature a line.
"""

import json
import sys

from hubspot.utils.signature import Signature  # type: ignore[import-not-found] # theirs

for line in sys.stdin:
    asked = json.loads(line)
    print(
        Signature.get_signature(
            asked["secret"],
            asked["body"],
            asked["version"],
            http_uri=asked["uri"],
            http_method=asked["method"],
            timestamp=asked["timestamp"],
        ),
        flush=True,
    )
