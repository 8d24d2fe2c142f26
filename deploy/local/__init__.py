"""The embedded mesh: real engines and the services as processes of this host, under one
supervisor.
"""
