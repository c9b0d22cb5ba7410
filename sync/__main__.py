"""`python -m sync` is `gladly-segment`."""

from sync.cli import main

if __name__ == "__main__":
    main()
