"""Files that are written whole or not at all."""

import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from looplab.envs.errors import UsageError

#: Permissions of a written file, before the process's umask.
FILE_MODE = 0o666


def write_whole(path: Path, content: bytes) -> Path:
    """Writes ``content`` under a temporary name in the same folder, then renames it to ``path``.

    Whoever reads ``path`` sees the old file or the whole new one, also when the writer is killed.

    Args:
        path: where the file belongs; missing folders are made.
        content: all bytes of the file.

    Returns:
        ``path``.

    Raises:
        UsageError: if the folder cannot be written (permission, space).
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(FILE_MODE & ~umask)
        temporary.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return path
