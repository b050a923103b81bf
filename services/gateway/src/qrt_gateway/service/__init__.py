"""Use cases of the gateway: who is asking, and what happens to a job while somebody listens."""
