"""A directory of thousands of portals is read in about the time that its TOML takes."""

import time
import tomllib
from collections.abc import Callable

from helpdesk_numbers.directory.toml import parse

TEXT = "".join(
    f"""
[accounts.customer-{number}]
provider = "twilio"
account_sid = "AC{number:032}"
auth_token = "{number:032x}"
country = "US"
[portals.{number}]
accounts = ["customer-{number}"]
[portals.{number}.user.1001]
numbers = ["(202) 555-{number:04}"]
"""
    for number in range(1, 3001)
)


def seconds(call: Callable[[], object]) -> float:
    """Processor time, since others use the machine too; the best of three."""
    times = []
    for _ in range(3):
        started = time.process_time()
        call()
        times.append(time.process_time() - started)
    return min(times)


def test_reading_a_large_directory_takes_little_more_than_its_toml() -> None:
    toml_s = seconds(lambda: tomllib.loads(TEXT))
    directory = parse(TEXT, {})
    assert directory.portals[3000].rules[1001].numbers == ("+12025553000",)
    whole_s = seconds(lambda: parse(TEXT, {}, directory))
    assert whole_s < 4 * toml_s, "about twice is usual; seven times if types are looked at anew"
