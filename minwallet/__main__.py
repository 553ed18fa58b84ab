"""`python -m minwallet`, the same as `minwallet`."""


def main() -> None:
    """Run the command line. Exit with code 130 on Ctrl-C, even while the program is still loading."""
    try:
        from minwallet.cli.main import main as run  # noqa: PLC0415 Ctrl-C can interrupt the import too

        run()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
