"""Which engine carries messages to a worker; `TWINSTREAM_CARRIER` says so."""

from __future__ import annotations

from twinstream.mesh.carrier import Carried, Carrier, WorkerOptions
from twinstream.mesh.settings import MeshSettings


def carrier_of(
    settings: MeshSettings,
    options: WorkerOptions,
    carried: Carried,
) -> Carrier:
    """An engine is imported by those alone whom it carries to."""
    if settings.carrier == "confluent":
        from twinstream.mesh.confluent_carrier import ConfluentCarrier

        return ConfluentCarrier(settings, options, carried)
    from twinstream.mesh.faust_carrier import FaustCarrier

    return FaustCarrier(settings, options, carried)
