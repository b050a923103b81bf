"""The Kipu surface: `/services/{program}/` and `/token`, for clients of the PlanQK service runtime.

A service is a program, by its id or by its owner's name for it; a service execution is a job. A layer
of shapes over the commands that the native surface sends too: the same jobs, the same owners.
"""
