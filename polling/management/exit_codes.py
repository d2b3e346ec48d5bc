"""The exit codes of the commands; 0 is success."""

FAILED = 1  # trying again may help
BAD_INPUT = 2  # an argument or a setting must be changed first
