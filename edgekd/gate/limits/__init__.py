"""The limits that a budget can hold: one a module, by the name of its table in the budget."""
