"""The place where the first notebooks import `Job` from."""
