"""`python -m compress`, and the program `compress`."""

import sys
import traceback

from compress.errors import CRASHED


def main() -> None:
    """Run the command line; if it cannot even be imported, exit as after a crash, and not with 1 as Python would."""
    try:
        from compress.cli import main as run
    except Exception:
        traceback.print_exc()
        sys.exit(CRASHED)
    run()


if __name__ == "__main__":
    main()
