"""`python -m policy.cli`, which is the command `policy`."""

from policy.cli.commands import main

main()
