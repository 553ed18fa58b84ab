"""What measures: `make bench` and `make bench-large`. And the tests of the room behind `minwallet bench`."""
