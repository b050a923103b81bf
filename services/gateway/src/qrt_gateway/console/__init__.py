"""`/console`: the web console, a page of plain ES modules, and the sessions of those who use it."""
