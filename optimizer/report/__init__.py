"""What a run found, as one file that anyone can open: self-contained, without scripts, readable on paper.

``view``       what a report says, as values
``distilled``  a view of an outcome; ``migrated`` one of a migration
``markup``     HTML elements in which every text is escaped: models and users wrote most of it
``charts``     intervals, bars and quality against tokens as inline SVG
``page``       the document; ``style.css`` is its only style
"""
