"""One way to say how Kafka is secured, librdkafka's, and what it means to the two other clients:
Faust's and Spark's (Java).
"""

# Understood: security.protocol; SASL PLAIN and SCRAM by user name and password;
# a CA, a certificate and its key as PEM files.

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from twinstream.errors import SettingsError

if TYPE_CHECKING:
    from faust.types.auth import CredentialsT

NAMES = {
    "security.protocol": "protocol",
    "sasl.mechanism": "mechanism",
    "sasl.mechanisms": "mechanism",
    "sasl.username": "user",
    "sasl.password": "password",
    "ssl.ca.location": "ca",
    "ssl.certificate.location": "certificate",
    "ssl.key.location": "key",
    "ssl.key.password": "key_password",
    "ssl.endpoint.identification.algorithm": "host_names",
}
LOGIN_MODULES = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}
PROTOCOLS = ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")


class KafkaSecurity(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach the brokers; "" is what each client does by itself."""

    protocol: str = "plaintext"
    mechanism: str = ""
    user: str = ""
    password: str = ""
    ca: str = ""
    certificate: str = ""
    key: str = ""
    key_password: str = ""
    host_names: str = "https"

    @property
    def sasl(self) -> bool:
        """Whether clients give a name and a password."""
        return self.protocol.startswith("sasl")

    @property
    def tls(self) -> bool:
        """Whether all is encrypted."""
        return self.protocol.endswith("ssl")


def of(options: Mapping[str, str]) -> KafkaSecurity:
    """From librdkafka's options, of which those about other things are left alone;
    raises SettingsError for what not all clients can do.
    """
    given = {}
    for name, value in options.items():
        if name in NAMES:
            given[NAMES[name]] = value
        elif name.startswith(("sasl.", "ssl.", "enable.ssl.", "enable.sasl.")):
            raise SettingsError(
                f"TWINSTREAM_KAFKA_OPTIONS: {name} is understood by one of three Kafka "
                f"clients only; there are {', '.join(NAMES)}"
            )
    found = KafkaSecurity(**given)
    found = msgspec.structs.replace(
        found, protocol=found.protocol.lower(), mechanism=found.mechanism.upper()
    )
    if found.protocol not in PROTOCOLS:
        raise SettingsError(
            f"TWINSTREAM_KAFKA_OPTIONS: security.protocol={found.protocol} is none of "
            f"{', '.join(PROTOCOLS)}"
        )
    if found.sasl and (found.mechanism not in LOGIN_MODULES or not found.user):
        raise SettingsError(
            f"TWINSTREAM_KAFKA_OPTIONS: with {found.protocol} give sasl.mechanism (one of "
            f"{', '.join(LOGIN_MODULES)}), sasl.username and sasl.password"
        )
    return found


def for_faust(security: KafkaSecurity) -> CredentialsT | None:
    """Credentials of a Faust app; None for none."""
    from faust.auth import SASLCredentials, SSLCredentials

    context = _context(security) if security.tls else None
    if security.sasl:
        return SASLCredentials(
            username=security.user,
            password=security.password,
            mechanism=security.mechanism,
            ssl_context=context,
        )
    return None if context is None else SSLCredentials(context)


def for_java(security: KafkaSecurity) -> dict[str, str]:
    """Options of a Java client.

    A certificate and its key have to be in one PEM file there, so they are the user's to name.
    """
    return {
        "security.protocol": security.protocol.upper(),
        **(_java_login(security) if security.sasl else {}),
        **(_java_tls(security) if security.tls else {}),
    }


def _java_login(security: KafkaSecurity) -> dict[str, str]:
    return {
        "sasl.mechanism": security.mechanism,
        "sasl.jaas.config": (
            f'{LOGIN_MODULES[security.mechanism]} required username="{_quoted(security.user)}" '
            f'password="{_quoted(security.password)}";'
        ),
    }


def _java_tls(security: KafkaSecurity) -> dict[str, str]:
    names = "" if security.host_names == "none" else security.host_names
    found = {"ssl.endpoint.identification.algorithm": names}
    if security.ca:
        found |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": security.ca}
    return found


def _context(security: KafkaSecurity) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=security.ca or None)
        if security.certificate:
            context.load_cert_chain(
                security.certificate, security.key or None, security.key_password or None
            )
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"TWINSTREAM_KAFKA_OPTIONS: the CA, certificate or key cannot be read: {error}"
        ) from error
    context.check_hostname = security.host_names != "none"
    return context


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
