"""``python -m cloud.fleet.cli``."""

from cloud.fleet.cli.app import main

main()
