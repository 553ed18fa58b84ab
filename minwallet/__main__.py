"""`python -m minwallet` is `minwallet`."""

from minwallet.cli.main import main

if __name__ == "__main__":
    main()
