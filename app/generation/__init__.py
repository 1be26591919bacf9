"""The one path from a bundle and variables to an answer."""
