"""Flask blueprints. Thin: parse, call a service, render. No SQL here.

Every view declares who may use it, with `allow(...)` or `public` from `teleconsult.http.security`.
"""
