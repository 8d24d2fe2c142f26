"""What passes between the services: events, topics and the byte forms of packs and partials. Pure:
no engine, no I/O.
"""
