"""HTTP in, HTTP out; no rule of the domain lives here.

A request passes measuring → problems (every error becomes problem+json) → guard (host, origin, token) → bodies
(limits, gzip, strict JSON) → one router → one operation.
"""
