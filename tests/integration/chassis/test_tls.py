"""Mutual TLS between services, over real sockets and real handshakes."""

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2_grpc as pb_grpc

from chassis import channel
from chassis.channel import Link
from chassis.deadline import Deadline
from chassis.errors import ErrorTable, RemoteError
from chassis.server import Room, running
from chassis.settings import ServiceSettings, SettingsError
from chassis.tls import TlsUnreadable
from tests.fakes.authority import Authority

NAME = "spendgate.tokenizer.v1.TokenizerService"
CALL_SECONDS = 3


class Echo(pb_grpc.TokenizerServiceServicer):
    async def Count(self, request, context):
        return pb.CountResponse()


async def build(settings, outfit):
    return Room(
        [(pb_grpc.add_TokenizerServiceServicer_to_server, Echo())],
        [NAME],
        ErrorTable("tokenizer.spendgate", {}),
    )


def settings_for(files, **more):
    return ServiceSettings(
        tls_certificate=files.certificate,
        tls_key=files.key,
        tls_authority=files.authority,
        drain_seconds_max=1,
        **more,
    )


async def count(link):
    stub = link.stub(pb_grpc.TokenizerServiceStub)
    return await link.call(stub.Count, pb.CountRequest(), Deadline.after(CALL_SECONDS))


@pytest.fixture
def authority():
    return Authority()


@pytest.fixture
def served(authority, tmp_path):
    return authority.issue(tmp_path / "server", "tokenizer")


async def test_services_with_the_fleets_certificates_talk(authority, served, tmp_path):
    """Both sides show a certificate of the one authority; the call goes through."""
    mine = authority.issue(tmp_path / "client", "gateway")
    async with running("test", settings_for(served), build) as server:
        link = Link(server.address, NAME, None, tls=mine)
        assert isinstance(await count(link), pb.CountResponse)
        await link.close()


async def test_a_caller_without_the_fleets_certificate_gets_nowhere(served, tmp_path):
    """Not with plaintext, not with another authority's certificate."""
    stranger = Authority("somebody else").issue(tmp_path / "stranger", "gateway")
    stranger.authority.write_bytes(served.authority.read_bytes())
    async with running("test", settings_for(served), build) as server:
        for tls in (None, stranger):
            link = Link(server.address, NAME, None, tls=tls)
            with pytest.raises(RemoteError) as refused:
                await count(link)
            assert refused.value.code in (
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.DEADLINE_EXCEEDED,
            )
            await link.close()


async def test_a_caller_does_not_talk_to_a_server_of_another_authority(served, tmp_path):
    """A token must not be shown to whoever took over an address."""
    mine = Authority("mine").issue(tmp_path / "client", "gateway")
    async with running("test", settings_for(served), build) as server:
        link = Link(server.address, NAME, None, tls=mine)
        with pytest.raises(RemoteError):
            await count(link)
        await link.close()


async def test_renewed_certificates_are_taken_without_a_restart(
    authority, served, tmp_path, monkeypatch
):
    """Even a new authority: both processes run on, and old callers are no longer let in."""
    monkeypatch.setattr(channel, "RENEWAL_SECONDS", 0)
    mine = authority.issue(tmp_path / "client", "gateway")
    stale = authority.issue(tmp_path / "stale", "gateway")
    async with running("test", settings_for(served), build) as server:
        link = Link(server.address, NAME, None, tls=mine)
        await count(link)
        successor = Authority("the next")
        successor.issue(tmp_path / "server", "tokenizer")
        successor.issue(tmp_path / "client", "gateway")
        old = Link(server.address, NAME, None, tls=stale)
        with pytest.raises(RemoteError):
            await count(old)
        await old.close()
    # Behind a new server a caller that had kept its first files would not be let in.
    again = settings_for(served, listen=server.address)
    async with running("test", again, build):
        await count(link)
        await link.close()


async def test_half_written_files_leave_the_old_certificate_in_use(authority, served, tmp_path):
    """A renewal seen in its middle must not take the service down."""
    mine = authority.issue(tmp_path / "client", "gateway")
    async with running("test", settings_for(served), build) as server:
        served.certificate.write_bytes(b"")
        link = Link(server.address, NAME, None, tls=mine)
        await count(link)
        await link.close()


async def test_probes_reach_health_and_reflection_in_plaintext(served):
    """A kubelet shows no certificate; the port it asks serves nothing of the fleet."""
    async with (
        running("test", settings_for(served, admin_listen="127.0.0.1:0"), build) as server,
        grpc.aio.insecure_channel(server.admin_address) as plain,
    ):
        health = health_pb2_grpc.HealthStub(plain)
        answer = await health.Check(health_pb2.HealthCheckRequest(service=NAME))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await pb_grpc.TokenizerServiceStub(plain).Count(pb.CountRequest())
        assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_certificate_settings_come_together_or_not_at_all(tmp_path):
    """A certificate without its key would be plaintext by mistake."""
    with pytest.raises(SettingsError):
        ServiceSettings.from_env({"SPENDGATE_TLS_CERTIFICATE": str(tmp_path / "tls.crt")})


async def test_missing_files_are_named_at_start(served):
    """The operator reads which path to mend."""
    served.key.unlink()
    with pytest.raises(TlsUnreadable) as told:
        async with running("test", settings_for(served), build):
            pass
    assert str(served.key) in told.value.problems[0]
