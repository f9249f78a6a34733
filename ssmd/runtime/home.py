"""The data folder of this machine: made, checked for writing, and held by one `ssmd up` at a time."""

import fcntl
import os
from pathlib import Path

from registry.refusal import ExitCode, Reason, Refused

FOLDERS = ("run", "log", "capture", "nats", "valkey")


def prepare(home: Path) -> None:
    """Make the folders that the programs expect; refused when nothing can be written there."""
    try:
        for name in FOLDERS:
            (home / name).mkdir(parents=True, exist_ok=True)
        probe = home / "run" / ".probe"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        problem = f"SSMD_HOME {home} cannot be written to: {error.strerror} ({error.filename})"
        remedy = "Set SSMD_HOME to a folder you may write to, e.g. SSMD_HOME=$HOME/ssmd-data."
        raise Refused([Reason(problem, remedy)], exit_code=ExitCode.PERMISSION) from error


WEB_ADDRESS = "web_address"


def is_held(home: Path) -> bool:
    """Does an `ssmd up` of this folder run?"""
    try:
        lock = os.open(home / "run" / "up.lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def web_address(home: Path) -> str:
    """Where the running `ssmd up` of this folder serves the admin, as host:port; refused when none runs."""
    try:
        address = (home / "run" / WEB_ADDRESS).read_text().strip() if is_held(home) else ""
    except FileNotFoundError:
        address = ""
    if not address:
        problem = f"No `ssmd up` is running in {home}: there is no admin to sign in to"
        remedy = (
            "Start `ssmd up` (it prints a link itself), or set SSMD_HOME to the folder of the one that runs."
        )
        raise Refused([Reason(problem, remedy)], exit_code=ExitCode.UNAVAILABLE)
    return address


def hold(home: Path) -> int:
    """The lock of the one `ssmd up` of this folder, as an open file; it goes with the process."""
    lock = os.open(home / "run" / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        problem = f"`ssmd up` is already running in {home} (process {holder})"
        remedy = f"Stop it (kill {holder}), or give this one its own folder: SSMD_HOME=/another/folder."
        raise Refused([Reason(problem, remedy)], exit_code=ExitCode.CONFLICT) from error
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock
