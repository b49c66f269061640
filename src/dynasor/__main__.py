"""`python -m dynasor`."""

from dynasor.cli import main

main()
