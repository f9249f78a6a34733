"""ssmd: record an exchange's live market data so that nothing is lost unnoticed."""

from importlib.metadata import version

__version__ = version("ssmd")
