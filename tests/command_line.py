"""Commands that must fail as a user should see it."""

import re

from sparring import cli


def fails(capsys, *words, saying=""):
    """The command ends with code 2 and one line on stderr that matches."""
    capsys.readouterr()
    assert cli.main([str(word) for word in words]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    last = output.err.strip().splitlines()[-1]
    assert last.startswith("sparring: ")
    assert "Traceback" not in output.err, output.err
    assert re.search(saying, last), last
