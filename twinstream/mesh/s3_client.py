"""boto3's client of S3: AWS itself by the standard chain; a server on this machine by our settings
alone.
"""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config
from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES
from botocore.session import Session

from twinstream.mesh.loopback import is_loopback
from twinstream.mesh.settings import MeshSettings

_RETRIES = {"max_attempts": 5, "mode": "standard"}
_FILES = {"config_file": None, "credentials_file": None}


def s3_client(settings: MeshSettings) -> Any:
    """The client that these settings describe; safe for threads."""
    here = is_loopback(settings.s3_endpoint)
    make = _deaf() if here and settings.access_key else boto3
    return make.client(
        "s3",
        endpoint_url=settings.s3_endpoint or None,
        region_name=settings.region,
        aws_access_key_id=settings.access_key or None,
        aws_secret_access_key=settings.secret_key or None,
        aws_session_token=settings.session_token or None,
        config=_config(settings, here=here),
    )


def _config(settings: MeshSettings, *, here: bool) -> Config:
    return Config(
        s3={"addressing_style": "path" if settings.s3_endpoint else "auto"},
        retries=_RETRIES,
        connect_timeout=5,
        read_timeout=60,
        max_pool_connections=32,
        # S3Mock refuses a part's CRC32; what matters is pinned by SHA-256
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        proxies={} if here else None,
    )


def _deaf() -> boto3.Session:
    """A session that reads no AWS_* variable and no file: a profile, endpoint, CA or FIPS mode
    meant for AWS breaks the embedded server.
    """
    variables = {
        name: (None, None, _FILES.get(name, default), convert)
        for name, (_, _, default, convert) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items()
    }
    return boto3.Session(botocore_session=Session(session_vars=variables))
