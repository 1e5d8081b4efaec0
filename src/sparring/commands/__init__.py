"""The commands, one file for each family: `add` declares the arguments, and the functions import what they need."""
