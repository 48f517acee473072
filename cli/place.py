"""Where the fleet is that a command talks to, and how to talk to it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.problems import EXIT_NO_FLEET, Problem, from_status

CALL_SECONDS_MAX = 15.0
TENANT = "default"

DirOption = Annotated[
    Path, typer.Option("--dir", envvar="SPENDGATE_DIR", help="Folder of the embedded fleet.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document instead of text for people.")
]
TenantOption = Annotated[str, typer.Option("--tenant", help="Whose books.")]
LedgerOption = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        envvar="SPENDGATE_LEDGER_ADDRESS",
        help="host:port of the ledger. Default: the fleet in --dir.",
        show_envvar=True,
    ),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="SPENDGATE_INTERNAL_TOKEN",
        help="The fleet's own token. Default: of the fleet in --dir.",
    ),
]

DIR_DEFAULT = Path(".spendgate")


@dataclass(frozen=True, slots=True)
class Door:
    """A service's address and what opens it."""

    address: str
    token: str | None


def fleet_in(directory: Path) -> Any:
    """The FleetFile of the fleet that runs in `directory`. Raises Problem when none does."""
    from cli.embedded.folder import Folder

    found = Folder(directory).read_fleet()
    if found is None:
        raise Problem(
            f"no fleet runs in {directory}",
            "start one with: spendgate up (or name another folder with --dir)",
            code=EXIT_NO_FLEET,
            reason="NO_FLEET",
        )
    return found


def inner_door(directory: Path, service: str, address: str | None, token: str | None) -> Door:
    """The door of a service inside the fleet: as told, else from the folder. Raises Problem."""
    from cli.embedded.folder import Folder

    if address:
        return Door(address, token)
    found = fleet_in(directory)
    return Door(getattr(found, service), Folder(directory).secrets().internal_token)


def gateway_door(directory: Path, address: str | None, key: str | None) -> Door:
    """The gateway's door and a virtual key: as told, else from the folder. Raises Problem."""
    from cli.embedded.folder import Folder

    found = address or fleet_in(directory).gateway
    secret = key or (None if address else Folder(directory).local_key())
    if not secret:
        raise Problem(
            "no virtual key is given",
            "pass one with --key or SPENDGATE_KEY; make one with: spendgate key create NAME",
            reason="KEY_INVALID",
        )
    return Door(found, secret)


class Talk:
    """Calls to one service; failures are problems with a next step."""

    def __init__(self, link: Any, stub: Any, door: Door) -> None:
        self._link = link
        self._stub = stub
        self._door = door

    async def call(self, method: str, request: Any, seconds_max: float = CALL_SECONDS_MAX) -> Any:
        """The response. Raises Problem."""
        from chassis.deadline import Deadline, DeadlinePassed
        from chassis.errors import RemoteError

        try:
            return await self._link.call(
                getattr(self._stub, method), request, Deadline.after(seconds_max)
            )
        except RemoteError as error:
            raise from_status(error, self._door.address) from error
        except DeadlinePassed:
            raise Problem(f"{self._door.address} took too long") from None

    async def pages(self, method: str, request: Any, field: str) -> list[Any]:
        """All of `field`, page after page; `request` is the first page's. Raises Problem."""
        found: list[Any] = []
        while True:
            response = await self.call(method, request)
            found += getattr(response, field)
            if not response.next_page_token:
                return found
            request.page_token = response.next_page_token

    async def stream(self, method: str, request: Any, seconds_max: float) -> AsyncIterator[Any]:
        """The responses. Raises Problem."""
        from chassis.deadline import Deadline
        from chassis.errors import RemoteError

        try:
            async for response in self._link.stream(
                getattr(self._stub, method), request, Deadline.after(seconds_max)
            ):
                yield response
        except RemoteError as error:
            raise from_status(error, self._door.address) from error


@asynccontextmanager
async def talking(door: Door, service_name: str, stub: Callable[[Any], Any]) -> AsyncIterator[Talk]:
    """A line to `service_name`, while the block runs."""
    from chassis.channel import Link

    link = Link(door.address, service_name, door.token)
    try:
        yield Talk(link, link.stub(stub), door)
    finally:
        await link.close()


@asynccontextmanager
async def ledger_of(directory: Path, address: str | None, token: str | None) -> AsyncIterator[Talk]:
    """A line to the ledger. Raises Problem when there is none."""
    from spendgate.ledger.v1 import ledger_service_pb2_grpc as rpc

    door = inner_door(directory, "ledger", address, token)
    name = "spendgate.ledger.v1.LedgerService"
    async with talking(door, name, rpc.LedgerServiceStub) as talk:
        yield talk


@asynccontextmanager
async def reading_of(
    directory: Path, address: str | None, token: str | None
) -> AsyncIterator[Talk]:
    """A line to what reads the ledger's books. Raises Problem when there is none."""
    from spendgate.ledger.v1 import reading_service_pb2_grpc as rpc

    door = inner_door(directory, "ledger", address, token)
    name = "spendgate.ledger.v1.ReadingService"
    async with talking(door, name, rpc.ReadingServiceStub) as talk:
        yield talk
