"""The connector's process: what it needs of the machine, and that it is the only one."""

import gc
import resource
import signal

from registry.refusal import ExitCode, Reason, Refused
from streaming import capture_metrics, lifetime, metrics
from streaming.connector import EXPECT_END, Connector
from streaming.connector_config import ConnectorConfig
from streaming.handover import seat

LEAST_DESCRIPTORS, ENOUGH_DESCRIPTORS = 64, 4096


def run(config: ConnectorConfig) -> None:
    """The process's main; raises Refused for what an operator has to mend."""
    signal.signal(EXPECT_END, signal.SIG_IGN)  # until there is a session to tell
    # What is loaded by now stays; a hot path that makes a dozen objects a frame must not scan it again and again.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    _require_descriptors()
    with seat(config.capture, config.shard, take_over=config.take_over) as taken:
        metrics.init_connector(config.feed)
        capture_metrics.init_capture(config.feed)
        metrics.serve_metrics(config.metrics_port)
        lifetime.run("connector", Connector(config, seat=taken).run)


def _require_descriptors() -> None:
    """Without room for its files and sockets it would fail in the middle of recording."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = ENOUGH_DESCRIPTORS if most == resource.RLIM_INFINITY else min(most, ENOUGH_DESCRIPTORS)
    if allowed < LEAST_DESCRIPTORS:
        reason = Reason(
            f"this process may open {allowed} files; a connector needs {LEAST_DESCRIPTORS}",
            "Raise the limit (ulimit -n 1024).",
        )
        raise Refused([reason], exit_code=ExitCode.UNAVAILABLE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))
