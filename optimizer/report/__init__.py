"""Write the result of a run as one HTML file: self-contained, without scripts, readable on paper.

``view``       the contents of a report, as values
``distilled``  the view of a distillation; ``migrated`` of a migration
``markup``     HTML elements with every text escaped: models and users wrote most of it
``charts``     intervals, bars and quality against tokens as inline SVG
``page``       the document; ``style.css`` is its only style
"""
