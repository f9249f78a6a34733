"""Files that are on the disk when a call returns."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Force the folder's list of files to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Like mkdir -p, with every new folder's name forced to the disk."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def kept_damaged(folder: Path) -> list[Path]:
    """What was cut off damaged files of this folder: it stays until somebody has looked at it, and removed it."""
    return sorted(folder.glob("*.damaged*"))


def keep_damaged(path: Path, tail: bytes) -> None:
    """Keep what is cut off a file beside it, as `<name>.damaged`; never over an earlier one."""
    number, kept = 1, path.with_name(f"{path.name}.damaged")
    while kept.exists():
        number += 1
        kept = path.with_name(f"{path.name}.damaged{number}")
    try:
        with kept.open("xb") as file:
            file.write(tail)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        kept.unlink(missing_ok=True)  # half of it is of no use, and takes the room that is lacking
        raise
    sync_folder(path.parent)
