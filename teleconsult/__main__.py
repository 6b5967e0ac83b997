"""`python -m teleconsult` is the same as `teleconsult`."""

from teleconsult.cli import main

if __name__ == "__main__":
    main()
