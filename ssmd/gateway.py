"""What this process streams: the environment named by SSMD_GATEWAY_ENV, as plain values, and the one hub of it."""

import os

from django.utils import timezone

from registry.models import Environment, EnvironmentVersion
from registry.preflight import environment_usable, registry_ready
from registry.refusal import ExitCode, Refused, require
from ssmd.bus import bus_url
from streaming.hub import Hub, Serving

ENVIRONMENT_VARIABLE = "SSMD_GATEWAY_ENV"
_hub: Hub | None = None


def serving(name: str) -> Serving:
    """What a gateway of this environment serves; raises Refused with all that is wrong."""
    require(registry_ready(), exit_code=ExitCode.UNAVAILABLE)
    require(environment_usable(name))
    version = _version_in_force(name)
    transport = version.spec.transport
    url = bus_url(transport.url)
    return Serving(name, version.feed.name, transport.stream, url, version.feed.simulated)


def _version_in_force(name: str) -> EnvironmentVersion:
    try:
        return Environment.objects.get(name=name).version_in_force(timezone.now())
    except Refused as refused:  # nothing was looked for: what was asked cannot be done
        raise Refused(refused.reasons, exit_code=ExitCode.INVALID) from refused


def environment_or_default(name: str | None) -> str:
    """The environment that was named, or the one that is applied."""
    require(registry_ready(), exit_code=ExitCode.UNAVAILABLE)
    return name or Environment.objects.all().applied().name


def asked_for() -> str:
    """The environment that this process was told to serve; empty: none."""
    return os.environ.get(ENVIRONMENT_VARIABLE, "")


def start(what: Serving) -> Hub:
    """Make and start this process's hub."""
    global _hub
    _hub = Hub(what)
    _hub.start()
    return _hub


async def stop() -> None:
    """End this process's hub, if there is one."""
    global _hub
    hub, _hub = _hub, None
    if hub is not None:
        await hub.close()


def current_hub() -> Hub | None:
    """This process's hub; None where no environment is served."""
    return _hub
