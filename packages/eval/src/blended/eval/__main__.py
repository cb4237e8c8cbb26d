"""`python -m blended.eval`: what `blended-evaluate` does."""

from blended.eval.command import main

if __name__ == "__main__":
    main()
