"""Writing a bundle into a folder that another server or hub can use."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from compress import plugins
from compress.bundle.contents import MANIFEST, read_labels
from compress.bundle.manifest import read_manifest
from compress.bundle.verify import verify
from compress.errors import BadInputError, cannot_write
from compress.files import put_in_place, sha256_file
from compress.packaging.source import Source

FORMATS = "compress.packaging.formats"
SNAPSHOTS = "snapshots"  # the folder of a cache of the Hugging Face Hub that holds what users see
RECORD = "packaged.json"  # in each layout: the bundle it was made from, and the files that were written


def package(bundle: Path, format: str, out: Path | None = None) -> Path:
    """Write a bundle in a format of formats/ and return the folder, by default `BUNDLE-FORMAT` beside the bundle.

    The bundle is verified first, see `compress.bundle.verify`. Readers of the folder see either the old or the new
    layout, never a mix. Raises `BadInputError` if the bundle does not verify, if it is in a cache or a volume, where
    nothing but the cache writes, and `out` is None, if the folder holds anything that an
    earlier call did not write, or if it cannot be written; `MachineError` if the disk is full.
    """
    target = out.absolute() if out else _beside(bundle, format)
    try:
        if target.exists() and (obstacle := _not_ours(target)):
            raise BadInputError(f"{target}: {obstacle}; --out should be another folder, or move it away")
        for _ in verify(bundle):
            pass
        source = Source(bundle, read_manifest(bundle), read_labels(bundle))
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as temporary:
            new = Path(temporary) / target.name
            new.mkdir()
            plugins.find(FORMATS, format).write(source, new)
            _record(source, format, new)
            put_in_place(new, target)
    except OSError as error:
        raise cannot_write(str(target), error) from error
    return target


def _beside(bundle: Path, format: str) -> Path:
    folder = bundle.resolve()
    if (folder / MANIFEST).resolve() != folder / MANIFEST or folder.parent.name == SNAPSHOTS:
        raise BadInputError(
            f"{bundle}: is in a cache or a volume, beside which nothing is written; --out should name a folder"
        )
    return folder.with_name(f"{folder.name}-{format}")


def _record(source: Source, format: str, folder: Path) -> None:
    record = {
        "format": format,
        "bundle": source.name,
        "manifest": sha256_file(source.folder / MANIFEST),
        "files": _digests(folder),
    }
    (folder / RECORD).write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _not_ours(folder: Path) -> str:
    """Return a text on what in a folder would be lost if it were replaced; empty if this command wrote all of it."""
    try:
        recorded = dict(json.loads((folder / RECORD).read_bytes())["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return "is there already and was not written by this command"
    changed = sorted(
        [name for name, digest in _digests(folder).items() if recorded.get(name) != digest]
        + [path.relative_to(folder).as_posix() for path in folder.rglob("*") if _is_never_written(path)]
    )
    return f"{changed[0]} in it was not written by this command" if changed else ""


def _is_never_written(path: Path) -> bool:
    """Tell whether a path is a link, an empty folder or a special file, none of which a layout contains."""
    if path.is_symlink():
        return True
    return not any(path.iterdir()) if path.is_dir() else not path.is_file()


def _digests(folder: Path) -> dict[str, str]:
    """Return `{relative path: sha256}` of every file below a folder except the record."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / RECORD)
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}
