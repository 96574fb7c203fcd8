"""All of it on one machine: `make run`, and the tests that need real processes."""
