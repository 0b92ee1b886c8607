"""The version of the software."""

VERSION = "0.1.0"
