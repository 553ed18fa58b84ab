"""`python -m minwallet` is `minwallet`."""


def main() -> None:
    """Run the command line; Ctrl-C is an end like any other, also while the program is still being loaded."""
    try:
        from minwallet.cli.main import main as run  # noqa: PLC0415 loading it is what may be interrupted

        run()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
