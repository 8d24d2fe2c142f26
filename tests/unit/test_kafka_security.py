"""Three Kafka clients understand one way of saying how Kafka is secured."""

from __future__ import annotations

import pytest
from faust.auth import SASLCredentials, SSLCredentials
from faust.types.auth import AuthProtocol

from twinstream.errors import SettingsError
from twinstream.mesh import kafka_security
from twinstream.mesh.settings import MeshSettings

SCRAM = (
    "security.protocol=SASL_SSL;sasl.mechanisms=SCRAM-SHA-512;sasl.username=twin;sasl.password=a=b"
)


def _security(options: str) -> kafka_security.KafkaSecurity:
    return MeshSettings(pipeline="p.py", kafka_options=options).kafka_security()


def test_nothing_said_is_nothing_asked_for() -> None:
    assert kafka_security.for_faust(_security("linger.ms=5")) is None
    assert kafka_security.for_java(_security("")) == {"security.protocol": "PLAINTEXT"}


def test_name_and_password_reach_faust() -> None:
    found = kafka_security.for_faust(_security(SCRAM))
    assert isinstance(found, SASLCredentials)
    assert (found.protocol, found.mechanism.value, found.username, found.password) == (
        AuthProtocol.SASL_SSL,
        "SCRAM-SHA-512",
        "twin",
        "a=b",
    )
    assert found.ssl_context is not None
    assert found.ssl_context.check_hostname


def test_encryption_alone_reaches_faust() -> None:
    found = kafka_security.for_faust(
        _security("security.protocol=ssl;ssl.endpoint.identification.algorithm=none")
    )
    assert isinstance(found, SSLCredentials)
    assert not found.context.check_hostname


def test_name_and_password_reach_java_quoted() -> None:
    found = kafka_security.for_java(
        _security(
            'security.protocol=SASL_PLAINTEXT;sasl.mechanism=PLAIN;sasl.username=twin;sasl.password=a"b\\'
        )
    )
    assert found == {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.jaas.config": (
            'org.apache.kafka.common.security.plain.PlainLoginModule required username="twin" '
            'password="a\\"b\\\\";'
        ),
    }


def test_the_ca_reaches_java() -> None:
    found = kafka_security.for_java(_security("security.protocol=SSL;ssl.ca.location=/ca.pem"))
    assert (found["ssl.truststore.type"], found["ssl.truststore.location"]) == ("PEM", "/ca.pem")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("security.protocol=tls", "security.protocol"),
        ("security.protocol=SASL_SSL;sasl.mechanism=GSSAPI;sasl.username=a", "sasl.mechanism"),
        ("security.protocol=SASL_SSL;sasl.mechanism=PLAIN", "sasl.username"),
        ("sasl.oauthbearer.config=x", "sasl.oauthbearer.config"),
        ("enable.ssl.certificate.verification=false", "enable.ssl.certificate.verification"),
    ],
)
def test_what_not_all_clients_can_do_is_refused_when_the_settings_are_read(
    options: str, named: str
) -> None:
    with pytest.raises(SettingsError, match=named):
        MeshSettings.from_env({"TWINSTREAM_PIPELINE": "p.py", "TWINSTREAM_KAFKA_OPTIONS": options})


def test_a_ca_that_is_not_there_is_named() -> None:
    with pytest.raises(SettingsError, match="CA"):
        kafka_security.for_faust(_security("security.protocol=SSL;ssl.ca.location=/nowhere.pem"))
