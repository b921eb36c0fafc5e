"""What the machine knows, folded from the journal: one file per subject, with its part of the fold.

``state.py`` is the whole and its questions, ``table.py`` says which record is taken in where,
``fold.py`` makes states for the journal.
"""
