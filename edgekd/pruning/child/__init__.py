"""The process that prunes: what it is asked and answers (`protocol`), and what it does."""
