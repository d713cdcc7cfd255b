"""Numbers written down in the directory itself: desk phones, SIP trunks, demos."""

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from .base import Faults, PhoneNumber, Provider, Query, to_e164


class Static(Provider):
    name = "static"
    fixed = knows_owners = True

    class Options(Provider.Options, frozen=True, kw_only=True):
        numbers: Annotated[
            tuple[PhoneNumber, ...],
            Meta(description="tables of number, and if wanted name, extension, owners"),
        ]

        def __post_init__(self) -> None:
            super().__post_init__()
            hint = "" if self.country else " (one in national form needs the option country)"
            faults = [
                f"numbers[{index}].number: not a phone number{hint}"
                for index, listed in enumerate(self.numbers)
                if to_e164(listed.number, listed.country or self.country) is None
            ]
            if faults:
                raise Faults(faults)

    options: Options

    def list_numbers(self, query: Query) -> Iterable[PhoneNumber]:
        return self.options.numbers
