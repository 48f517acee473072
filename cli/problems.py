"""How a command fails: one sentence, the next step, an exit code; never a traceback."""

import asyncio
import functools
import inspect
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chassis.errors import RemoteError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NO_FLEET = 3
EXIT_OVER_BUDGET = 4
EXIT_CONFIG = 5
EXIT_INTERRUPTED = 130

EXIT_CODES_HELP = (
    "Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 no fleet answers;"
    " 4 a budget would be broken; 5 the fleet file is wrong; 130 interrupted."
)


class Problem(Exception):
    """A command cannot be done. `next_step` says what the user can do about it."""

    def __init__(
        self, message: str, next_step: str = "", *, code: int = EXIT_FAILED, reason: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.code = code
        self.reason = reason


def command(function: Callable[..., Any]) -> Callable[..., None]:
    """Makes a command out of a plain or async function: its failures are told, not thrown.

    With the parameter `as_json` set, a failure is one JSON object on standard error.
    """

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            done = function(*args, **kwargs)
            if inspect.iscoroutine(done):
                asyncio.run(done)
        except Problem as problem:
            tell(problem, as_json=bool(kwargs.get("as_json")))
            sys.exit(problem.code)
        except KeyboardInterrupt:
            sys.exit(EXIT_INTERRUPTED)
        except BrokenPipeError:
            # Who read our output has seen enough; Python would complain once more at exit.
            sys.stderr.close()
            sys.exit(EXIT_FAILED)

    return run


def tell(problem: Problem, *, as_json: bool) -> None:
    """Print a problem on standard error."""
    if as_json:
        told = {
            "reason": problem.reason,
            "message": problem.message,
            "next_step": problem.next_step,
            "exit_code": problem.code,
        }
        print(json.dumps({"error": told}, ensure_ascii=False), file=sys.stderr)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text.assemble(("error: ", "bold red"), problem.message))
    if problem.next_step:
        console.print(Text.assemble(("next:  ", "bold"), problem.next_step))


def from_status(error: "RemoteError", where: str) -> Problem:
    """The problem behind a status that the service at `where` answered with."""
    message = error.status.message
    if not error.reason and error.code.name in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
        return Problem(
            f"nothing answers at {where}",
            "start a fleet with: spendgate up",
            code=EXIT_NO_FLEET,
            reason=error.code.name,
        )
    step, code = _NEXT_STEPS.get(error.reason, ("", EXIT_FAILED))
    if error.reason == "BUDGET_EXCEEDED":
        message = _over_budget(error)
    return Problem(
        message or f"the service at {where} answered {error.code.name}",
        step.format_map(_Named(error.metadata)),
        code=code,
        reason=error.reason or error.code.name,
    )


class _Named(dict[str, str]):
    """What a status lacks is told as a placeholder."""

    def __missing__(self, key: str) -> str:
        return key.upper()


_NEXT_STEPS: dict[str, tuple[str, int]] = {
    "KEY_INVALID": ("pass a key that works with --key or SPENDGATE_KEY;"
                    " make one with: spendgate key create NAME", EXIT_FAILED),
    "TOKEN_INVALID": ("set SPENDGATE_INTERNAL_TOKEN to the fleet's own token,"
                      " or give the fleet's folder with --dir", EXIT_FAILED),
    "MODEL_UNKNOWN": ("see what is configured with: spendgate models", EXIT_FAILED),
    "NO_CANDIDATE": ("see what each model can do with: spendgate models", EXIT_FAILED),
    "MODEL_UNPRICED": ("give the model a price or priced_as in the fleet file", EXIT_FAILED),
    "BUDGET_EXCEEDED": ("raise it with: spendgate budget update {budgetId} --limit USD",
                        EXIT_OVER_BUDGET),
    "BUDGET_UNKNOWN": ("see the budgets with: spendgate budget list", EXIT_FAILED),
    "KEY_UNKNOWN": ("see the keys with: spendgate key list", EXIT_FAILED),
    "ID_REUSED": ("choose another id: this one belongs to something else", EXIT_FAILED),
    "RATE_LIMITED": ("wait a moment, or raise it with: spendgate key update KEY --{limit}",
                     EXIT_FAILED),
    "MODEL_NOT_ALLOWED": ("see what the key may call with: spendgate key list", EXIT_FAILED),
    "BATCH_NOT_FOUND": ("see your jobs with: spendgate batch list", EXIT_FAILED),
    "BATCH_LIMIT_REACHED": ("wait for a job to end, delete files over HTTP, or raise batch.{limit}"
                            " in the fleet file", EXIT_FAILED),
    "OVERLOADED": ("the fleet is busy; try again in a moment", EXIT_FAILED),
    "PROVIDER_FAILED": ("see what the provider said with: spendgate trace last", EXIT_FAILED),
    "CIRCUIT_OPEN": ("the provider failed too often lately; try again in a moment", EXIT_FAILED),
    "FLEET_CHANGING": ("the fleet file is being read everywhere; try again", EXIT_FAILED),
    "SERVICE_UNAVAILABLE": ("see which part is down in the window of: spendgate up", EXIT_FAILED),
    "BOOKS_UNAVAILABLE": ("see which part is down in the window of: spendgate up", EXIT_FAILED),
}  # fmt: skip


def _over_budget(error: "RemoteError") -> str:
    from cli.demo_money import usd_exact

    told = error.metadata
    if told.get("unit", "NANO_USD") != "NANO_USD":
        return str(error.status.message)
    try:
        left, needed = int(told["leftNanos"]), int(told["neededNanos"])
        limit = int(told["limitNanos"])
    except (KeyError, ValueError):
        return str(error.status.message)
    reset = f"; it starts anew at {told['resetTime']}" if told.get("resetTime") else ""
    return (
        f"the budget {told.get('budgetId', '')} has {usd_exact(left)} of {usd_exact(limit)} left,"
        f" this request may need {usd_exact(needed)}{reset}"
    )
