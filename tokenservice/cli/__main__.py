"""`python -m tokenservice.cli`, which is the command `tokenservice`."""

from tokenservice.cli.commands import main

main()
