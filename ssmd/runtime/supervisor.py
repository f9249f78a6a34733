"""Runs the programs of one machine under supervisord: writes its configuration, starts it, asks it, stops it.

supervisord is our child and the programs are its children, each started through the launcher: whoever is killed takes
everything below along.
"""

import http.client
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from supervisor.xmlrpc import SupervisorTransport

from ssmd.runtime import launcher
from ssmd.runtime.programs import Program

LONGEST_SOCKET = 107  # bytes: sun_path of unix(7), without its final zero
LOG_BYTES = "10MB"
LOG_FILES = 3
NO_ANSWER = (OSError, http.client.HTTPException)

# No path stands here: one may hold what this file reads as a comment or as an expansion. Those of log files are
# relative to supervisord's working folder, which is SSMD_HOME; command lines come from the environment. The programs'
# own working folder is another: Celery imports from where it stands, and SSMD_HOME has a folder `archive`.
_HEAD = """\
[supervisord]
nodaemon = true
silent = true
logfile = log/supervisord.log
logfile_maxbytes = {log_bytes}
logfile_backups = {log_files}
pidfile = run/supervisord.pid

[unix_http_server]
file = %(ENV_SSMD_CONTROL_SOCKET)s
chmod = 0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

_PROGRAM = """
[program:{name}]
command = %(ENV_SSMD_RUN_{variable})s
directory = run
priority = {priority}
autostart = false
autorestart = {autorestart}
exitcodes = 0
startsecs = {start_seconds}
startretries = 5
stopsignal = TERM
stopwaitsecs = {stop_seconds}
redirect_stderr = true
stdout_logfile = log/{name}.log
stdout_logfile_maxbytes = {log_bytes}
stdout_logfile_backups = {log_files}
"""


@dataclass(frozen=True, slots=True)
class State:
    """What supervisord says of one program."""

    name: str
    state: str  # STOPPED STARTING RUNNING BACKOFF STOPPING EXITED FATAL UNKNOWN
    pid: int
    exit_code: int

    @property
    def runs(self) -> bool:
        """Is there a process, and has it not just failed?"""
        return self.state in ("RUNNING", "STARTING")

    @property
    def has_given_up(self) -> bool:
        """Did it fail so often that supervisord tries no more?"""
        return self.state in ("FATAL", "UNKNOWN")


def configuration(programs: Sequence[Program]) -> tuple[str, dict[str, str]]:
    """supervisord's configuration text, and the variables that it takes the programs' command lines from."""
    head = _HEAD.format(log_bytes=LOG_BYTES, log_files=LOG_FILES)
    commands = {
        f"SSMD_RUN_{program.name.upper()}": shlex.join(launched(program.argv)) for program in programs
    }
    return "".join([head, *(_section(program) for program in programs)]), commands


def launched(argv: Iterable[str]) -> list[str]:
    """The command line that runs `argv` so that it dies with its parent."""
    return [sys.executable, "-I", "-S", launcher.__file__, "KILL", *argv]


def _section(program: Program) -> str:
    return _PROGRAM.format(
        name=program.name,
        variable=program.name.upper(),
        # supervisord, told to stop, goes from the highest number down.
        priority=100 - program.stop_step,
        autorestart="false" if program.ends_by_itself else "true",
        # One that ends sooner has failed to start; a Python process takes a second or two to fail.
        start_seconds=0 if program.ends_by_itself else 5,
        stop_seconds=program.stop_seconds,
        log_bytes=LOG_BYTES,
        log_files=LOG_FILES,
    )


class Supervisor:
    """supervisord as our child."""

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self.home = home
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_folder: Path | None = None

    @classmethod
    def of_running(cls, home: Path) -> "Supervisor | None":
        """The one that another process started in this folder, only to be asked; None where none was."""
        try:
            folder = Path((home / "run" / "control_folder").read_text())
        except OSError:
            return None
        found = cls(home, {})
        found._socket_folder = folder
        return found

    def start(self, programs: Sequence[Program]) -> None:
        """Start supervisord; no program runs yet."""
        text, commands = configuration(programs)
        (self.home / "run" / "supervisord.conf").write_text(text)
        self._socket_folder = self._new_socket_folder()
        own = {"SSMD_CONTROL_SOCKET": str(self._socket), launcher.PARENT: str(os.getpid())}
        with (self.home / "log" / "supervisord.err").open("wb") as complaints:
            self._process = subprocess.Popen(
                launched([sys.executable, "-m", "supervisor.supervisord", "-c", "run/supervisord.conf"]),
                env={**self._environment, **commands, **own},
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=complaints,
                # Ctrl-C reaches everybody in the terminal's group; the order of stopping is ours to keep.
                start_new_session=True,
            )

    def _new_socket_folder(self) -> Path:
        """A short private folder outside SSMD_HOME; the one that a killed run left is removed."""
        note = self.home / "run" / "control_folder"
        if note.exists() and (left := Path(note.read_text())).name.startswith("ssmd-"):
            shutil.rmtree(left, ignore_errors=True)
        parent = tempfile.gettempdir()
        if len(os.fsencode(parent)) > LONGEST_SOCKET - 40:
            parent = "/tmp"  # noqa: S108  mkdtemp makes the folder private
        folder = Path(tempfile.mkdtemp(prefix="ssmd-", dir=parent))
        note.write_text(str(folder))
        return folder

    @property
    def _socket(self) -> Path:
        assert self._socket_folder
        return self._socket_folder / "control"

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait_until_ready(self, *, seconds: float = 20) -> None:
        """Return when supervisord answers."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self._ask("getState")
                return
            except NO_ANSWER:
                if not self.is_running or time.monotonic() > deadline:
                    raise SupervisorGone(self.home) from None
                time.sleep(0.02)

    def _ask(self, method: str, *arguments: object) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        try:
            server = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=cast(Any, transport))
            return getattr(server.supervisor, method)(*arguments)
        finally:
            transport.close()

    def start_program(self, name: str) -> None:
        """Start it and return at once."""
        self._ask("startProcess", name, False)

    def states(self) -> dict[str, State]:
        """Every program by name; empty when supervisord does not answer."""
        try:
            rows = self._ask("getAllProcessInfo")
        except (*NO_ANSWER, xmlrpc.client.Fault):
            return {}
        return {
            row["name"]: State(row["name"], row["statename"], int(row["pid"]), int(row["exitstatus"]))
            for row in rows
        }

    def signal_program(self, name: str, what: signal.Signals) -> None:
        """Send a signal; one that does not run gets none."""
        with suppress(xmlrpc.client.Fault, *NO_ANSWER):
            self._ask("signalProcess", name, str(int(what)))

    def stop_programs(self, names: Iterable[str]) -> None:
        """Stop these together; returns when the last has ended (killed, when its time is up)."""
        asked = [name for name in names if self._stop_asked(name)]
        while any(state.pid for name, state in self.states().items() if name in asked):
            time.sleep(0.05)

    def _stop_asked(self, name: str) -> bool:
        try:
            self._ask("stopProcess", name, False)
        except xmlrpc.client.Fault:  # it is not running, or not one of ours
            return False
        except NO_ANSWER:  # supervisord is gone, and with it the program
            return False
        return True

    def close(self) -> None:
        """End supervisord, and with it whatever still runs."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._socket_folder is not None:
            shutil.rmtree(self._socket_folder, ignore_errors=True)

    def kill(self) -> None:
        """End everything at once."""
        if self._process is not None:
            self._process.kill()


class SupervisorGone(Exception):
    """supervisord did not start, or ended without being asked."""

    def __init__(self, home: Path) -> None:
        self.logs = [home / "log" / "supervisord.err", home / "log" / "supervisord.log"]
        super().__init__("supervisord is not running")
