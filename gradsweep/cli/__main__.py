"""`python -m gradsweep.cli`: the command line without its script; `up` starts its children this way."""

from gradsweep.cli.main import main

main()
