import json
import socket
from pathlib import Path

import pytest

from registry.refusal import Reason, Refused
from ssmd.runtime import embedded


@pytest.fixture
def old_nats(tmp_path: Path) -> Path:
    binary = tmp_path / "nats-server"
    binary.write_text("#!/bin/sh\necho nats-server: v2.9.10\n")
    binary.chmod(0o755)
    return binary


def test_a_nats_server_that_is_too_old_is_passed_over(
    old_nats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NATS_SERVER_BIN", str(old_nats))
    found = embedded.find_nats()
    assert isinstance(found, Path)
    assert found != old_nats


def test_without_a_new_nats_server_the_old_one_is_named(
    old_nats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NATS_SERVER_BIN", str(old_nats))
    monkeypatch.setenv("PATH", str(old_nats.parent))
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    found = embedded.find_nats()
    if Path("/usr/sbin/nats-server").exists():
        pytest.skip("this machine has its own nats-server")
    assert isinstance(found, Reason)
    assert "2.9" in found.problem
    assert "make install" in found.remedy


def test_the_broker_is_the_binary_of_the_wheel_itself() -> None:
    found = embedded.find_valkey()
    assert isinstance(found, Path)
    assert found.name == "valkey-server"


def test_ports_are_those_of_last_time(tmp_path: Path) -> None:
    kept = tmp_path / "ports.json"
    first = embedded.keep_ports(kept, ("nats", "valkey"))
    assert embedded.keep_ports(kept, ("nats", "valkey")) == first


def test_a_port_that_was_taken_meanwhile_is_replaced(tmp_path: Path) -> None:
    kept = tmp_path / "ports.json"
    first = embedded.keep_ports(kept, ("nats", "valkey"))
    with socket.socket() as other:
        other.bind((embedded.HOST, first["nats"]))
        other.listen()

        second = embedded.keep_ports(kept, ("nats", "valkey"))

    assert second["nats"] != first["nats"]
    assert second["valkey"] == first["valkey"]
    assert json.loads(kept.read_text()) == second


@pytest.mark.parametrize("torn", ["", "{", "[]", '{"nats": "x"}', "null"])
def test_a_torn_list_of_ports_is_made_anew(tmp_path: Path, torn: str) -> None:
    kept = tmp_path / "ports.json"
    kept.write_text(torn)
    assert embedded.keep_ports(kept, ("nats",))["nats"] > 0


def test_servers_that_run_elsewhere_are_not_started(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NATS_URL", "nats://bus:4222")
    monkeypatch.setenv("REDIS_URL", "redis://broker:6379/0")
    bus, broker = embedded.servers(data_folder)
    assert (bus.url, bus.program) == ("nats://bus:4222", None)
    assert (broker.url, broker.program) == ("redis://broker:6379/0", None)


def test_a_missing_server_is_refused_with_the_package_that_brings_it(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NATS_URL", raising=False)
    monkeypatch.setattr(embedded, "find_nats", lambda: Reason("none", "nats-server-bin"))
    with pytest.raises(Refused) as refused:
        embedded.servers(data_folder)
    assert refused.value.exit_code == 6
