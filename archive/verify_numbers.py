"""The lines of a sealed day's raw files, counted: each record once, and as the day manifest says."""

from collections.abc import Iterator

from archive import layout
from archive.damage import Finding
from archive.day_lines import DayLine, read_line
from archive.files import Damaged
from archive.identities import IdentitySet
from archive.objects import Store
from archive.rows import lines
from archive.seal_manifest import DayManifest, DayMark, SessionSpan
from archive.seal_raw import kept_mark


def number_findings(store: Store, manifest: DayManifest) -> Iterator[Finding]:
    """Of each session every record stands in exactly one line, and the manifest's spans and marks are the lines'."""
    spans: dict[str, SessionSpan] = {}
    found, counted, kept = IdentitySet(), 0, []
    for file in manifest.raw:
        try:
            last: dict[str, int] = {}
            for line in map(read_line, lines(store, file)):
                if line.n <= last.get(line.session, 0):
                    yield Finding(file.key, f"record {line.session}.{line.n} does not stand in its order")
                last[line.session] = line.n
                spans[line.session] = _wider(spans.get(line.session), line)
                found.add(line.session, line.n, 0)
                counted += 1
                if line.is_mark and (mark := kept_mark(line)) is not None:
                    kept.append(mark)
        except Damaged:
            return  # it was named already
    key = layout.seal_key(manifest.feed, manifest.date, manifest.version)
    if counted != len(found):
        yield Finding(key, f"{counted - len(found)} records stand in more than one file", None, counted)
    if sorted(spans.values(), key=_by_start) != sorted(manifest.spans, key=_by_start):
        yield Finding(key, "says other sessions than its lines", None, counted)
    if sorted(kept, key=_by_number) != sorted(manifest.marks, key=_by_number):
        yield Finding(key, "holds other marks than its lines", None, counted)


def _by_start(span: SessionSpan) -> tuple[int, str]:
    return span.first_recv_ns, span.session


def _by_number(mark: DayMark) -> tuple[str, int]:
    return mark.session, mark.n


def _wider(span: SessionSpan | None, line: DayLine) -> SessionSpan:
    if span is None:
        return SessionSpan(
            session=line.session,
            first_n=line.n,
            last_n=line.n,
            first_recv_ns=line.recv_ns,
            last_recv_ns=line.recv_ns,
        )
    if span.first_n < line.n <= span.last_n:
        return span
    return SessionSpan(
        session=line.session,
        first_n=min(span.first_n, line.n),
        last_n=max(span.last_n, line.n),
        first_recv_ns=min(span.first_recv_ns, line.recv_ns),
        last_recv_ns=max(span.last_recv_ns, line.recv_ns),
    )
