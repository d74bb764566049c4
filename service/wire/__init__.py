"""All that crosses between service, worker and client: plain pydantic, importing nothing of ours.

base        the two kinds of message, and the protocol's version
parameters  one trial's parameters
leases      claims, grants, reports, directives, heartbeats (worker ↔ service)
sweeps      sweeps, trials, epochs, events as the REST API shows them (client ↔ service)

What the service reads refuses unknown keys; what it answers may grow, so readers ignore keys they do not know:
an old worker goes on working with a newer service.
"""
