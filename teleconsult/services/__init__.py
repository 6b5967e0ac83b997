"""The use cases. Each checks permission, applies a domain rule, stores, audits, and announces, in that order.

Knows nothing of Flask or Socket.IO: a function takes the `Node`, the `Actor` and plain values.
"""
