"""The `policy` command."""
