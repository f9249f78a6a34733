"""The programs of one environment on this machine: started until data flow, stopped so that nothing is lost."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from django.conf import settings

from registry import secrets
from registry.preflight import RecordingPlan
from registry.refusal import ExitCode, Reason, Refused
from ssmd.runtime import embedded, flow, login, programs
from ssmd.runtime.home import WEB_ADDRESS
from ssmd.runtime.programs import ExchangeOptions, Program
from ssmd.runtime.supervisor import State, Supervisor, SupervisorGone
from ssmd.runtime.talk import Talk, last_lines
from streaming.connector import EXPECT_END

FLOW_WITHIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What `ssmd up` was asked for."""

    environment: str
    web_port: int
    exchange: ExchangeOptions


class Stack:
    """The programs of one environment on this machine."""

    def __init__(
        self,
        options: UpOptions,
        plan: RecordingPlan,
        servers: tuple[embedded.Server, embedded.Server],
        folder: Path,
        talk: Talk,
    ) -> None:
        self.options, self.plan, self.home, self.talk = options, plan, folder, talk
        self.bus, self.broker = servers
        self.capture = Path(settings.CAPTURE_DIR) / plan.environment
        self.programs = self._programs()
        self.supervisor = Supervisor(folder, self._environment())
        self.known: dict[str, State] = {}  # the programs as they were when last looked at

    def _programs(self) -> list[Program]:
        found = [server.program for server in (self.bus, self.broker) if server.program]
        if self.plan.simulated:
            keys = secrets.resolve(self.plan.secret_ref, ("api_key",))
            public_key = secrets.folder(self.plan.secret_ref.rpartition("/")[2]) / "public_key"
            key_id = keys["api_key"].reveal()
            found.append(programs.exchange(self.options.exchange, key_id=key_id, public_key=public_key))
        found += programs.of_environment(self.plan.environment, web_port=self.options.web_port)
        found += programs.of_schedule()
        return sorted(found, key=lambda program: programs.START_ORDER.index(program.name))

    def _environment(self) -> dict[str, str]:
        beside_python = str(Path(programs.ssmd()[1]).parent)
        return {
            **os.environ,
            "SSMD_HOME": str(self.home),
            "SSMD_SECRETS_DIR": str(settings.SSMD_SECRETS_DIR),
            "DJANGO_SETTINGS_MODULE": "ssmd.settings",
            "NATS_URL": self.bus.url,
            "REDIS_URL": self.broker.url,
            "PATH": os.pathsep.join([beside_python, os.environ.get("PATH", os.defpath)]),
            "PYTHONUNBUFFERED": "1",
        }

    @property
    def web(self) -> str:
        return f"{embedded.HOST}:{self.options.web_port}"

    def log_of(self, program: str) -> Path:
        """Where a program's output goes."""
        return self.home / "log" / f"{program}.log"

    def start(self, stdout: TextIO) -> None:
        """Start all, return when data flow; refused, with the log to read, when they do not."""
        self.supervisor.start(self.programs)
        try:
            self.supervisor.wait_until_ready()
        except SupervisorGone as gone:
            raise self.failure("supervisord did not start", "supervisord", gone.logs[0]) from gone
        # A Python process costs a second of CPU: servers, exchange and web start side by side.
        self._start("nats", "valkey", "exchange", "web")
        self._await_port("nats", self.bus.port)
        self._await_port("valkey", self.broker.port)
        if self.plan.simulated:
            self._await_port("exchange", self.options.exchange.port)
        self._start("connector", "shipper")
        self._await_flow()
        first_data = self.talk.seconds
        # The bus keeps what archiver and follower have not read yet: they must not delay the first data.
        self._start("archiver", "worker", "beat", "follower")
        self.known = self.supervisor.states()
        (self.home / "run" / WEB_ADDRESS).write_text(self.web)
        stdout.write(self._announcement(first_data))
        stdout.flush()

    def _start(self, *names: str) -> None:
        wanted = [program.name for program in self.programs if program.name in names]
        self.talk.say(f"starting {', '.join(wanted)} ...")
        for name in wanted:
            self.supervisor.start_program(name)

    def _await_port(self, program: str, port: int) -> None:
        if port and not flow.wait_for_port(port, seconds=30, alive=self._is_well):
            raise self.failure(f"{program} does not listen on port {port}", program, self.log_of(program))

    def _is_well(self) -> bool:
        return self.supervisor.is_running and not self._given_up()

    def _given_up(self) -> list[str]:
        return [name for name, state in self.supervisor.states().items() if state.has_given_up]

    def _await_flow(self) -> None:
        seen = flow.Seen()
        try:
            asyncio.run(self._flow(seen))
        except TimeoutError:
            missing, suspects = seen.suspects()
            unwell = [name for name, state in self.supervisor.states().items() if not state.runs]
            program = next((name for name in suspects if name in unwell), suspects[0])
            problem = f"No market data after {FLOW_WITHIN_SECONDS:.0f} s: {missing}; {program} is not well"
            raise self.failure(problem, program, self.log_of(program)) from None
        except _GivenUp as error:
            raise self.failure(str(error), error.program, self.log_of(error.program)) from None

    async def _flow(self, seen: flow.Seen) -> None:
        url = f"ws://{self.web}/v1/stream?symbols=*"
        watching = flow.watch(
            seen, nats_url=self.bus.url, feed=self.plan.feed, capture=self.capture, stream_url=url
        )
        async with asyncio.timeout(FLOW_WITHIN_SECONDS):
            reporting = asyncio.create_task(self._report(seen))
            flowing = asyncio.create_task(watching)
            try:
                done, _ = await asyncio.wait({reporting, flowing}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                reporting.cancel()
                flowing.cancel()

    async def _report(self, seen: flow.Seen) -> None:
        """Say each thing when it is first seen, and notice a program that was given up."""
        steps: dict[str, Callable[[], object]] = {
            "frames are captured": lambda: seen.captured_bytes,
            "events are on the bus": lambda: seen.bus_messages,
            "the gateway is open": lambda: seen.stream_open_since,
        }
        looks = 0
        while True:
            for line in [line for line, happened in steps.items() if happened()]:
                self.talk.say(line)
                del steps[line]
            looks += 1
            if looks % 10 == 0:
                self._check_programs()
            if looks % 50 == 0:
                self.talk.say(f"waiting for market data: {seen.suspects()[0]}")
            await asyncio.sleep(flow.LOOK_EVERY_SECONDS)

    def _check_programs(self) -> None:
        if not self.supervisor.is_running:
            raise _GivenUp("supervisord")
        if given_up := self._given_up():
            raise _GivenUp(given_up[0])

    def failure(self, problem: str, program: str, log: Path) -> Refused:
        """A refusal that shows the end of the log."""
        listing = f"The last lines of {log}:\n{last_lines(log)}"
        return Refused(
            [Reason(problem, f"Its log is {log}.", listing=listing)], exit_code=ExitCode.UNAVAILABLE
        )

    def _announcement(self, first_data: float) -> str:
        kind = "SIMULATED data" if self.plan.simulated else "real data"
        lines = {
            "first page": f"http://{self.web}/",
            "admin": f"http://{self.web}/login/{login.offer()}   (works once)",
            "stream": f"ws://{self.web}/v1/stream?symbols=*",
            "exchange": self.plan.endpoint,
            "bus": self.bus.url,
            "data, logs": str(self.home),
        }
        running = ", ".join(program.name for program in self.programs)
        return (
            f"\nssmd is up: environment {self.plan.environment}, feed {self.plan.feed} ({kind}); "
            f"market data after {first_data:.1f} s\n"
            f"  runs        {running}\n"
            + "".join(f"  {name:<12}{value}\n" for name, value in lines.items())
            + "\nCtrl-C stops everything in order.\n\n"
        )

    def stop(self) -> None:
        """Stop in the order in which nothing is lost; harmless when little was started."""
        # The exchange goes first; the connector is told, so that its goodbye is no loss.
        self.supervisor.signal_program("connector", EXPECT_END)
        for names in programs.STOP_ORDER:
            if self.supervisor.is_running:
                self.supervisor.stop_programs(names)
                self.talk.say(f"stopped {', '.join(names)}")
            if names == ("shipper",):
                self._record_last_parts()
        self.supervisor.close()
        login.withdraw()
        (self.home / "run" / WEB_ADDRESS).unlink(missing_ok=True)

    def _record_last_parts(self) -> None:
        """The tail that the shipper just wrote shows in the inventory without a running worker."""
        from ssmd.tasks import record_parts_of

        try:
            record_parts_of(self.plan.environment)
        except Exception as error:  # stopping goes on; the next start records them
            self.talk.say(f"the last parts are not in the inventory yet: {error}")


class _GivenUp(Exception):
    """A program without which no data will flow is not started again."""

    def __init__(self, program: str) -> None:
        self.program = program
        how = (
            "ended without being asked"
            if program == "supervisord"
            else "failed again and again and was given up"
        )
        super().__init__(f"{program} {how}")
