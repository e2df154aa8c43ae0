"""``python -m gateway`` is ``preceptor``."""

from gateway.cli import main

if __name__ == "__main__":
    main()
