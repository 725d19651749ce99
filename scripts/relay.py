"""Train a recipe in stages, started and stopped at will; `scripts/relay --help` says more."""

from edgecount.train.relay.cli import main

if __name__ == "__main__":
    main()
