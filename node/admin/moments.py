"""Times that are given in a request: with their zone, and such that they can be told in UTC."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime


def _in_utc(given: datetime) -> datetime:
    try:
        return given.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("it is before the first or after the last day that can be told") from error


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
