"""Known holes in the locked packages: `make audit` fails on a new one, `make check` names it."""
