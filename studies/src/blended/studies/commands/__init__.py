"""One file per group of commands; only these files parse, print and choose a device."""
