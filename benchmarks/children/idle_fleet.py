"""Many machines that sell nothing, and what they cost a server: `vendsim fleet --idle`."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.children.given import given


def main() -> None:
    """Run it, and hand on what it found."""
    options = given(__doc__, machines=int, seconds=float)
    command = [
        sys.executable, "-m", "simulator", "fleet", "--idle", "--json",
        "--machines", str(options.machines), "--seconds", str(options.seconds),
    ]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    sys.stdout.write(done.stdout.decode().splitlines()[-1])


if __name__ == "__main__":
    main()
