"""The mobile CRM: customers, consent, campaigns."""
