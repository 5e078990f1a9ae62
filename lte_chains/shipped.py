"""Where the models and editors lie that come with the package."""

from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
