"""The faces of a run: JSON, HTML, JUnit, Markdown, a badge; what moves on the terminal meanwhile; the ratchet.

All are drawn from one tree of plain data (result.py), so none of them knows a socket, and a stored JSON file can be
turned into any other face later: `python -m conformance report run.json --html run.html`.
"""
