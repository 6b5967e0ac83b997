"""The rules as plain Python: pure functions and frozen values. No Flask, no SQL, no asyncio, no plugins."""
