"""`python -m edgecount` is the command line."""

from edgecount.cli import main

if __name__ == "__main__":
    main()
