"""The commands, a file for each family: its arguments in `add`, its work in functions that import what they need."""
