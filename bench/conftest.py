"""Says which other libraries the tests of the benchmark covered."""

from . import peers


def pytest_report_header(config):
    """Name the peers that are installed, and those that are not and so stay untested."""
    found, missing = peers.installed()
    covered = ", ".join(f"{name} {version}" for name, version in found.items()) or "none"
    return f"peers tested: {covered}; not installed: {', '.join(missing) or 'none'}"
