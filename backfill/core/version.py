"""The version, for the command line, the manifest and the requests' user agent."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
