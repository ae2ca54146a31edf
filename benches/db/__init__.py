"""ChronoMind beside pgvector, through SQL, in one server and one run: the bench and the demo.

These modules run in a virtual environment of their own, made from `requirements.txt`;
`scripts/bench.py` and `scripts/demo.py` make it, install the extension and start them there.
"""
