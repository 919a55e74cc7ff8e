"""QUIC of setowire/13 on the package `aioquic`: both sides show an Ed25519 key, and the exporter.

That package has neither client certificates nor the exporter in its interface, so
this file reaches into its TLS state; the version is pinned for that reason
(requirements-aioquic.txt). Addresses are none of QUIC's business here
(docs/protocol.md, Paths): each connection is told one constant address.
"""

from __future__ import annotations

import os
import ssl
from typing import Any

from aioquic import tls  # type: ignore[import-not-found]
from aioquic.buffer import Buffer  # type: ignore[import-not-found]
from aioquic.quic.configuration import QuicConfiguration  # type: ignore[import-not-found]
from aioquic.quic.connection import QuicConnection  # type: ignore[import-not-found]
from aioquic.quic.packet import (  # type: ignore[import-not-found]
    QuicPacketType,
    QuicProtocolVersion,
    encode_quic_retry,
    encode_quic_version_negotiation,
    pull_quic_header,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # type: ignore[import-not-found]

import v13_wire as wire

__all__ = [
    "Buffer",
    "MutualQuic",
    "QuicPacketType",
    "encode_quic_retry",
    "encode_quic_version_negotiation",
    "pull_quic_header",
]

# What every connection takes for the address of its peer.
SOMEWHERE = ("peer", 0)
ID_LENGTH = 8
VERSION = QuicProtocolVersion.VERSION_1
SUITES = {
    "chacha20": [tls.CipherSuite.CHACHA20_POLY1305_SHA256],
    "fastest": [tls.CipherSuite.AES_128_GCM_SHA256, tls.CipherSuite.CHACHA20_POLY1305_SHA256],
}


class CertificateUnknown(tls.Alert):  # type: ignore[misc]
    description = tls.AlertDescription.certificate_unknown


class CertificateRequired(tls.Alert):  # type: ignore[misc]
    description = tls.AlertDescription.certificate_required


class Raw:
    """A certificate as far as `aioquic` sends it: its bytes."""

    def __init__(self, der: bytes) -> None:
        self.der = der

    def public_bytes(self, _encoding: object) -> bytes:
        return self.der


class Shown(Raw):
    """A certificate that was checked, and its key."""

    def __init__(self, der: bytes) -> None:
        super().__init__(der)
        self.key = wire.certificate_key(der)
        if self.key in wire.SMALL_ORDER:
            raise ValueError("a key of small order")

    def public_key(self) -> Ed25519PublicKey:
        return Ed25519PublicKey.from_public_bytes(self.key)


class MutualTls(tls.Context):  # type: ignore[misc]
    """TLS of `aioquic` in which both sides show a certificate and the exporter's secret is kept."""

    expected: bytes | None
    exporter_master: bytes

    def _setup_traffic_protection(self, direction: Any, epoch: Any, label: bytes) -> None:
        super()._setup_traffic_protection(direction, epoch, label)
        if label == b"s ap traffic":
            # On both sides the transcript ends here with the server's Finished, and the secret is the Master Secret.
            self.exporter_master = self.key_schedule.derive_secret(b"exp master")

    def _server_handle_certificate(self, input_buf: Any) -> None:
        start = input_buf.tell()
        if not tls.pull_certificate(input_buf).certificates:
            raise CertificateRequired("no certificate was shown")
        input_buf.seek(start)
        super()._server_handle_certificate(input_buf)

    def _set_peer_certificate(self, certificate: Any) -> None:
        if len(certificate.certificates) != 1:
            raise tls.AlertBadCertificate(f"{len(certificate.certificates)} certificates")
        try:
            shown = Shown(certificate.certificates[0][0])
        except ValueError as error:
            raise tls.AlertBadCertificate(str(error)) from error
        if self.expected not in (None, shown.key):
            raise CertificateUnknown("another key was expected")
        self._peer_certificate = shown


class MutualQuic(QuicConnection):  # type: ignore[misc]
    """One connection. `cookie` is the first destination id of a dialler, `original` and `retry` are ids of an acceptor."""

    def __init__(
        self,
        identity: wire.Identity,
        *,
        cipher: str = "chacha20",
        expected: bytes | None = None,
        cookie: bytes | None = None,
        original: bytes | None = None,
        retry: bytes | None = None,
        certificates: list[bytes] | None = None,
    ) -> None:
        self._expected = expected
        # Shown instead of our own certificate; `Raw` hides from QUIC what is in them.
        self._certificates = certificates
        configuration = QuicConfiguration(
            alpn_protocols=["setowire/13"],
            certificate=Shown(identity.certificate),
            cipher_suites=SUITES[cipher],
            connection_id_length=ID_LENGTH,
            idle_timeout=60.0,
            is_client=original is None,
            max_data=4_194_304,
            max_datagram_frame_size=65_535,
            max_stream_data=1_048_576,
            private_key=identity.private,
            supported_versions=[VERSION],
            verify_mode=ssl.CERT_NONE,
        )
        super().__init__(configuration=configuration, original_destination_connection_id=original, retry_source_connection_id=retry)
        if configuration.is_client:
            # Without a cookie any 9 to 20 bytes: eight are for ids that the acceptor made.
            first = cookie or os.urandom(16)
            self._peer_cid.cid = first
            self._original_destination_connection_id = first

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        self.tls.__class__ = MutualTls
        self.tls.expected = self._expected
        self.tls._supported_groups = [tls.Group.X25519]
        self.tls._signature_algorithms = [tls.SignatureAlgorithm.ED25519]
        self.tls._request_client_certificate = not self._is_client
        if self._certificates is not None:
            shown = [Raw(der) for der in self._certificates]
            self.tls.certificate, self.tls.certificate_chain = (shown[0], shown[1:]) if shown else (None, [])

    @property
    def peer_key(self) -> bytes:
        key: bytes = self.tls._peer_certificate.key
        return key

    def exporter(self, name: str) -> bytes:
        return wire.exporter(self.tls.exporter_master, name)

    @property
    def over(self) -> Any:
        """The event of its end as soon as it is known; `aioquic` reports it only when the draining is over."""
        return self._close_event

    @property
    def established(self) -> bool:
        done: bool = self._handshake_complete
        return done

    def sent(self, stream: int) -> bool:
        """Everything on this stream, its end included, was acknowledged."""
        return stream not in self._streams or bool(self._streams[stream].sender.is_finished)
