"""Mutual TLS inside the fleet, from files that may be replaced while the service runs.

A certificate manager renews a certificate by writing new files; nobody restarts for it. The server
reads them at the next handshake, a caller opens its next channel with them (chassis/channel.py).
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import grpc

_log = logging.getLogger("chassis.tls")


class TlsUnreadable(Exception):
    """The files cannot be used. Names paths, never what is in them."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class TlsPems:
    """What the files held when they were read."""

    certificate: bytes
    key: bytes
    authority: bytes


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: this process's certificate chain and key, and who signs the fleet's."""

    certificate: Path
    key: Path
    authority: Path

    def read(self) -> TlsPems:
        """The files' content. Raises: TlsUnreadable."""
        problems: list[str] = []
        found: list[bytes] = []
        for path in (self.certificate, self.key, self.authority):
            try:
                pem = path.read_bytes()
            except OSError as error:
                problems.append(f"{path}: {error.strerror}")
                continue
            if b"-----BEGIN " not in pem:
                problems.append(f"{path}: not a PEM file")
            found.append(pem)
        if problems:
            raise TlsUnreadable(problems)
        return TlsPems(*found)

    def stamp(self) -> tuple[int, ...]:
        """Another value once a file was replaced; empty while one is missing."""
        try:
            # Mounted secrets are swapped by a symbolic link, which stat() follows.
            return tuple(
                number
                for path in (self.certificate, self.key, self.authority)
                for number in (path.stat().st_mtime_ns, path.stat().st_ino)
            )
        except OSError:
            return ()


class Renewal:
    """Tells when the files are other ones. Files half written are taken later."""

    def __init__(self, files: TlsFiles) -> None:
        """Raises: TlsUnreadable, at start only."""
        self._files = files
        self._stamp = files.stamp()
        self.pems = files.read()

    def renewed(self) -> TlsPems | None:
        """The new content, once; None while nothing changed."""
        stamp = self._files.stamp()
        if not stamp or stamp == self._stamp:
            return None
        try:
            pems = self._files.read()
        except TlsUnreadable as error:
            _log.warning("new certificate files cannot be read", extra={"problems": error.problems})
            return None
        self._stamp = stamp
        if pems == self.pems:
            return None
        self.pems = pems
        return pems


def server_credentials(files: TlsFiles, *, clients_shown: bool) -> grpc.ServerCredentials:
    """For a listening port. `clients_shown`: a caller must show a certificate of the fleet.

    Raises: TlsUnreadable.
    """
    renewal = Renewal(files)

    def configuration(pems: TlsPems) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration(
            [(pems.key, pems.certificate)], root_certificates=pems.authority
        )

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        pems = renewal.renewed()
        return configuration(pems) if pems is not None else None

    return grpc.dynamic_ssl_server_credentials(
        configuration(renewal.pems), fetch, require_client_authentication=clients_shown
    )


def channel_credentials(pems: TlsPems) -> grpc.ChannelCredentials:
    """For a channel to another service of the fleet."""
    return grpc.ssl_channel_credentials(
        root_certificates=pems.authority,
        private_key=pems.key,
        certificate_chain=pems.certificate,
    )
