"""The benchmarks of `make bench` and `make bench-large`, and the tests of `minwallet bench`."""
