"""`python -m lte_chains`: the same as the `lte-chains` command."""

from lte_chains.cli import main

if __name__ == "__main__":
    main()
