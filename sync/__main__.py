"""`python -m sync` is `gladly-segment`."""

from sync.cli.main import main

if __name__ == "__main__":
    main()
