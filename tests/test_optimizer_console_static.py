"""The console's files."""

from optimizer.console import static


def test_a_link_changes_with_the_content() -> None:
    """And leads to the file."""
    link = static.link("console.css")
    assert static.response(tuple(link.split("/")[3:]))[0] == 200
    assert len(link.split("/")[3]) == 12


def test_nothing_else_is_read() -> None:
    """No path, no licence, no template."""
    for parts in ((), ("x", "LICENSE.htmx"), ("x", "..", "site.py"), ("x", "../site.py")):
        assert static.response(parts)[0] == 404


def test_the_vendored_script_is_the_pinned_version_with_its_licence() -> None:
    """Unchanged, and small."""
    script = static.content("htmx.min.js")
    assert b'version:"2.0.11"' in script and len(script) < 60_000
    assert b"Zero-Clause BSD" in static.content("LICENSE.htmx")
