"""The one way in which an import ends without a machine file."""


class ImportFailure(Exception):
    """A world that cannot be imported exactly; the message says what is wrong and where."""
