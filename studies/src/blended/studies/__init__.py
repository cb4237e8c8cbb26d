"""The composition root: trials, recipes, tracking and the `blended` command."""
