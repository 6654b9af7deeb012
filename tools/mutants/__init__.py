"""Changes the core one place at a time and counts how many changes its tests notice.

``python -m tools.mutants`` measures every module of ``AREAS``, or those that are named, each with
the tests of its area, in a copy of the tree and at low priority. What was measured is kept in
``.mutants/results.jsonl``: started again, it goes on where it stopped. A mutant that was killed
stays so while its module is the same; one that survived is tried again when the tests have changed.
"""
