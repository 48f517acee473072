"""How commands fail."""

import json

import grpc
import pytest

from chassis.errors import ErrorStatus, ErrorTable, RemoteError
from cli.problems import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_NO_FLEET,
    EXIT_OVER_BUDGET,
    Problem,
    command,
    from_status,
)


def remote(
    code: grpc.StatusCode, reason: str = "", message: str = "told", **metadata: str
) -> RemoteError:
    table = ErrorTable("test.spendgate", {})
    return RemoteError(table.build(ErrorStatus(code, reason, message, metadata)))


def test_a_refusal_by_a_budget_has_its_own_exit_code_and_amounts() -> None:
    """The message names the budget and what is left; the next step is a command."""
    problem = from_status(
        remote(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "BUDGET_EXCEEDED",
            budgetId="chat-daily",
            limitNanos="5000000000",
            leftNanos="1000000",
            neededNanos="2000000",
            resetTime="2026-12-01T00:00:00Z",
        ),
        "here:1",
    )
    assert problem.code == EXIT_OVER_BUDGET
    for part in ("chat-daily", "$0.001", "$0.002", "$5.00", "2026-12-01"):
        assert part in problem.message
    assert problem.next_step == "raise it with: spendgate budget update chat-daily --limit USD"


def test_nothing_there_says_how_to_start() -> None:
    """A line that leads nowhere ends with its own exit code and the command that helps."""
    problem = from_status(remote(grpc.StatusCode.UNAVAILABLE), "127.0.0.1:1")
    assert problem.code == EXIT_NO_FLEET
    assert "127.0.0.1:1" in problem.message
    assert "spendgate up" in problem.next_step


def test_a_part_that_is_down_is_not_a_fleet_that_is_not_there() -> None:
    """UNAVAILABLE with a reason of the fleet's own keeps the fleet's words."""
    problem = from_status(
        remote(grpc.StatusCode.UNAVAILABLE, "PROVIDER_FAILED", "no provider answered"), "x"
    )
    assert problem.code == EXIT_FAILED
    assert problem.message == "no provider answered"


def test_an_unknown_reason_is_told_as_it_is() -> None:
    """A reason of a newer fleet still gives its message."""
    problem = from_status(remote(grpc.StatusCode.ABORTED, "SOMETHING_NEW", "words"), "x")
    assert (problem.message, problem.reason, problem.next_step) == ("words", "SOMETHING_NEW", "")


@command
async def _fails(*, as_json: bool = False) -> None:
    raise Problem("it is broken [really]", "mend it", code=7, reason="BROKEN")


def test_a_problem_is_told_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Message and next step go to standard error, whole, and the exit code is the problem's."""
    with pytest.raises(SystemExit) as caught:
        _fails()
    told = capsys.readouterr()
    assert caught.value.code == 7
    assert told.out == ""
    assert "it is broken [really]" in told.err
    assert "mend it" in told.err
    assert "Traceback" not in told.err


def test_a_problem_can_be_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json a failure is one JSON object."""
    with pytest.raises(SystemExit):
        _fails(as_json=True)
    told = json.loads(capsys.readouterr().err)["error"]
    assert told == {
        "reason": "BROKEN",
        "message": "it is broken [really]",
        "next_step": "mend it",
        "exit_code": 7,
    }


def test_an_interrupted_command_ends_quietly(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C is no error: exit code 130, no words."""

    @command
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as caught:
        interrupted()
    assert caught.value.code == EXIT_INTERRUPTED
    assert capsys.readouterr().err == ""
