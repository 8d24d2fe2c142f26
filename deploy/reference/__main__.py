"""`python -m deploy.reference`: writes the pages of docs/reference that are made from the code."""

from __future__ import annotations

from deploy.reference.pages import written

for path, text in written().items():
    path.write_text(text)
