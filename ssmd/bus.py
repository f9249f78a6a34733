"""Where an environment's bus is."""

from pathlib import Path

from django.conf import settings

from registry.refusal import ExitCode, Reason, require
from ssmd.runtime.embedded import HOST, kept_ports, port_is_free


def bus_url(url: str) -> str:
    """The address; `embedded` is the server that NATS_URL names, or the one that `ssmd up` runs on this SSMD_HOME."""
    if url != "embedded":
        return url
    found = settings.NATS_URL or _running()
    missing = Reason(
        "The environment's transport is `embedded`, and no such server runs",
        "Start everything with `ssmd up`, or set NATS_URL, e.g. nats://127.0.0.1:4222.",
    )
    require([] if found else [missing], exit_code=ExitCode.UNAVAILABLE)
    return str(found)


def _running() -> str:
    port = kept_ports(Path(settings.RUN_DIR) / "ports.json").get("nats", 0)
    return f"nats://{HOST}:{port}" if port and not port_is_free(port) else ""
