"""The place where the first notebooks import `Account` from."""
