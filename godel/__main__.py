"""`python -m godel`: the command line."""

from godel.cli.main import main

if __name__ == "__main__":
    main()
