"""`flotilla bench`: load on a running endpoint, as its clients make it. (`ops.bench` measures the
gateway beside its rivals, in front of a scripted engine.)
"""
