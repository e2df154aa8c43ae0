"""The live loop: what happens to a task while its traffic flows, and the evidence for every step of it.

Nothing here is on the way of a request. A sweep, every few seconds and on one process, reads what was recorded, writes
what it learns from it as feedback, and decides on roll-outs; a sweep that runs twice does nothing twice. In production
somebody always looks, so everything that decides is valid at every moment it is looked at: ``evidence`` compares two
arms and bounds a proportion, ``drift`` notices that the live arm is worse than it was.
"""
