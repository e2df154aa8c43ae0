"""The data folder before it is used: can it be written? Leaves nothing behind."""

import shutil
import tempfile
from pathlib import Path

from gateway.domain import Value

_LITTLE_GB = 1.0
"""Free disk space under which a remark is due."""


class CheckResult(Value, frozen=True):
    """The result of one trial of ``preceptor check``."""

    name: str
    ok: bool
    detail: str
    seconds: float = 0.0


def try_folder(folder: Path) -> CheckResult:
    """Decide whether the data folder, or the folder to make it in, can be written. Leaves nothing behind."""
    name = f"data folder {folder}"
    here = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=here, prefix=".preceptor-check-") as file:
            file.write(b"x")
        free = shutil.disk_usage(here).free / 1e9
    except OSError as error:
        return CheckResult(name=name, ok=False, detail=f"{here} cannot be written: {error.strerror}")
    state = "can be written" if here == folder.absolute() else "can be made"
    little = ": too little for long" if free < _LITTLE_GB else ""
    return CheckResult(name=name, ok=True, detail=f"{state}, {free:,.1f} GB free{little}")
