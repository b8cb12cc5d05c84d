"""Which replica answers: filter, score, pick, over what this gateway knows by itself. Begins in
`route.py`.
"""
