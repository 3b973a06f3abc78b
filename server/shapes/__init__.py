"""The shapes of the CRM's nouns as JSON, one file a noun: what is taken, what is given, and how a record becomes it."""
