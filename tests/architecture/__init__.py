"""The part of the law that import-linter cannot see, as functions over the root of a checkout."""
