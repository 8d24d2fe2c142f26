"""Makes the documentation site: `make docs`. Only the standard library and MkDocs are imported here."""
