"""Many machines that sell nothing, and what they cost a server: `vendsim fleet --idle`."""

from __future__ import annotations

import argparse
import subprocess
import sys


def main() -> None:
    """Run it, and hand on what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    given = parser.parse_args()
    command = [
        sys.executable, "-m", "simulator", "fleet", "--idle", "--json",
        "--machines", str(given.machines), "--seconds", str(given.seconds),
    ]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    sys.stdout.write(done.stdout.decode().splitlines()[-1])


if __name__ == "__main__":
    main()
