"""The policy file."""
