"""What a fleet would do with a recorded load: the real plan, autoscaling and routing over replicas
that only take time. Nothing here starts, asks or changes anything that runs.
"""
