"""`blended compare`: rank all runs and write the report."""


def compare() -> None:
    """Placeholder until the report lands."""
