"""A fault script, in YAML or JSON: entries to faults, or all that is wrong with them; pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from registry.refusal import Reason, Refused
from registry.yaml_fields import suggestion
from registry.yaml_text import load_yaml
from streaming.kalshi.simulator.frames import CHANNELS
from streaming.kalshi.simulator.mischief.catalogue import CATALOGUE
from streaming.kalshi.simulator.mischief.fault import (
    EVERYBODY,
    NEXT,
    REQUIRED,
    Fault,
    Frames,
    Kind,
    Level,
    Parameter,
    is_names,
    number,
    one_of,
    whole,
)

_WHOM = Parameter(
    "connection",
    "its number, next, or all",
    lambda value: value in (EVERYBODY, NEXT) or (type(value) is int and value > 0),
    EVERYBODY,
)
# What every entry may say.
GENERAL: tuple[Parameter, ...] = (
    number("after", 0, 10**7, 0.0),
    whole("at_frame", 1, 10**15, None),
    number("for", 0, 10**7, None),
    whole("count", 1, 10**9, None),
    _WHOM,
    one_of("channel", *CHANNELS, default=""),
    Parameter("tickers", "a list of tickers", is_names, None),
)
_REMEDY = "Write {do: NAME, ...}; `ssmd exchange faults` lists the names."
_SELECTORS = ("channel", "tickers")


def parse_script(text: str) -> list[Fault]:
    """The faults of a script: a list of entries, or a mapping with `faults`; raises Refused."""
    document = load_yaml(text)
    entries = document.get("faults") if isinstance(document, dict) else document
    if not isinstance(entries, list):
        raise Refused([Reason("The fault script holds no list of faults", _REMEDY)])
    problems: list[Reason] = []
    found = [_fault(entry, f"fault {place}", problems) for place, entry in enumerate(entries, 1)]
    if problems:
        raise Refused(problems)
    return [fault for fault in found if fault is not None]


def parse_fault(entry: object) -> Fault:
    """One entry; raises Refused with all that is wrong."""
    problems: list[Reason] = []
    fault = _fault(entry, "fault", problems)
    if fault is None or problems:
        raise Refused(problems)
    return fault


def parse_order(text: str) -> dict[str, Any]:
    """A JSON object as it comes to the control endpoint; raises Refused."""
    try:
        order = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused([Reason(f"Not JSON: {error}", _REMEDY)]) from error
    if not isinstance(order, dict):
        raise Refused([Reason("Not a JSON object", _REMEDY)])
    return order


def _fault(entry: object, where: str, problems: list[Reason]) -> Fault | None:
    if not isinstance(entry, Mapping):
        problems.append(Reason(f"{where}: {entry!r} is no entry", _REMEDY))
        return None
    name = entry.get("do")
    kind = CATALOGUE.get(name) if isinstance(name, str) else None
    if kind is None:
        problems.append(_unknown(name, where))
        return None
    return _read(kind, {key: value for key, value in entry.items() if key != "do"}, where, problems)


def _unknown(name: object, where: str) -> Reason:
    if name is None:
        return Reason(f"{where}: `do` is missing", _REMEDY)
    return Reason(f"{where}: there is no fault {name!r}", suggestion(str(name), sorted(CATALOGUE)))


def _read(kind: Kind, given: dict[Any, Any], where: str, problems: list[Reason]) -> Fault:
    place = f"{where} ({kind.name})"
    general = _values(GENERAL, given, place, problems)
    own = _values(kind.parameters, given, place, problems)
    known = [one.name for one in (*GENERAL, *kind.parameters)]
    problems += [Reason(f"{place}: no such parameter '{key}'", suggestion(str(key), known)) for key in given]
    problems += _contradictions(kind, general, own, place)
    return Fault(
        kind, after_s=general["after"], at_frame=general["at_frame"], for_s=general["for"],
        count=general["count"] or (kind.count if general["for"] is None else None),
        connection=general["connection"], channel=general["channel"],
        tickers=frozenset(general["tickers"] or ()), given=own,
    )  # fmt: skip


def _values(
    parameters: Iterable[Parameter], given: dict[Any, Any], where: str, problems: list[Reason]
) -> dict[str, Any]:
    """Take what is there out of `given`; what is missing or wrong is noted and left at its default."""
    found: dict[str, Any] = {}
    for one in parameters:
        found[one.name] = one.default
        if one.name not in given:
            if one.default is REQUIRED:
                problems.append(Reason(f"{where}: '{one.name}' is missing", f"Give {one.form}."))
            continue
        value = given.pop(one.name)
        if one.accepts(value):
            found[one.name] = value
        else:
            problems.append(Reason(f"{where}: {one.name} {value!r} is not accepted", f"Give {one.form}."))
    return found


def _contradictions(
    kind: Kind, general: Mapping[str, Any], own: Mapping[str, Any], where: str
) -> list[Reason]:
    found = []
    chosen = [name for name in _SELECTORS if general[name]]
    if chosen and not _selects(kind):
        found.append(Reason(f"{where}: {' and '.join(chosen)} mean nothing here", "Leave them out."))
    if general["at_frame"] is not None and general["after"]:
        found.append(Reason(f"{where}: it begins either `after` or `at_frame`", "Keep one of them."))
    if kind.name == "late_burst" and general["for"] is None:
        found.append(Reason(f"{where}: 'for' is missing", "Say for how many seconds frames are held back."))
    if kind.name == "inject" and own["text"] and own["b64"]:
        found.append(Reason(f"{where}: it has `text` and `b64`", "Keep one of them."))
    return found


def _selects(kind: Kind) -> bool:
    """Whether a channel or tickers narrow it down."""
    if kind.level is Level.FRAME:
        return kind.strikes is not Frames.ACKS
    return kind.name in (
        "end_subscription", "unknown_type", "refuse_tickers", "deactivate", "move_close",
    )  # fmt: skip


def reasons_of(refused: Refused) -> Sequence[dict[str, str]]:
    """All that is wrong, for an answer in JSON."""
    return [{"problem": reason.problem, "remedy": reason.remedy} for reason in refused.reasons]
