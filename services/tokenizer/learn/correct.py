"""What was learned beside the ratios, put on a prompt's segments."""

from dataclasses import replace

from services.tokenizer.meter import Meter
from services.tokenizer.prepare import Prepared, Segments


def corrected(done: Prepared, meter: Meter) -> Prepared:
    """The prompt as sent and as given, so that their difference is what was removed."""
    return replace(done, sent=_correct(done.sent, meter), given=_correct(done.given, meter))


def _correct(segments: Segments, meter: Meter) -> Segments:
    """The segments with tools and chat format as calls of this model came to; they still sum.

    What the format costs beyond its rules is overhead, whichever message it is in.
    """
    fixes = meter.fixes()
    if fixes is None:
        return segments
    tools, overhead = segments.tools, segments.overhead
    said = (segments.system, segments.history, segments.new, overhead)
    for each in said:
        each.narrow(fixes.overhead_bound_permille)
    if tools.tokens:
        learned = (meter.prior_tokens(tools) * fixes.tools_permille + 500) // 1000
        tools.correct(learned, fixes.tools_bound_permille)
    plain = sum(each.plain_tokens for each in said)
    more = plain * (fixes.overhead_permille - 1000) + fixes.extra_millis
    overhead.correct(overhead.tokens + (more + 500) // 1000)
    return segments
