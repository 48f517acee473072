"""The verb Count: the tokens of one plain text."""

from services.tokenizer import limits
from services.tokenizer.meter import Meter, Tally


def count(text: str, meter: Meter) -> Tally:
    """Checks and counts a text. CPU work.

    Raises: TextTooLarge, and what the meter's checkpoint raises.
    """
    limits.check_text(text)
    tally = Tally()
    meter.text(text, tally)
    return tally
