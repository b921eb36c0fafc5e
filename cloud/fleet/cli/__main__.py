"""``python -m cloud.fleet.cli``."""

from cloud.fleet.cli import main

main()
