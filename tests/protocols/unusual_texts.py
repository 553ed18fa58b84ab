"""Texts that `str.isprintable` refuses, at least in some version of Python, and that both protocols accept."""

UNUSUAL_TEXTS = [
    *("\u00a0", "a\u3000b", "\u200d", "\u2028", "\u202e", "\ufeff", "\ufffe"),  # spaces, joiners, marks, no characters
    *("\u0378", "\U0001fae9", "\ue000", "\U0010ffff", "\u00ad"),  # unassigned, newly assigned, private
    *("\u0020", "\u007e", "\u00a1", "\ud7ff", "\U00010000" * 64),  # the neighbours of what is refused
]
