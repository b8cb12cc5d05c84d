"""The HTTP edge: authenticate -> check -> fit context -> route -> forward -> meter."""
