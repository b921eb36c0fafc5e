"""``python -m simulator`` is ``vendsim``."""

from simulator.cli import main

if __name__ == "__main__":
    main()
