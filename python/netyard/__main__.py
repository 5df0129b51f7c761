"""``python -m netyard``."""

from netyard.cli.main import main

if __name__ == "__main__":
    main()
