"""What the integration tests stand on: certificates, PostgreSQL clusters, the proxy as a process, a raw protocol client, a fake server.

Only the standard library, psycopg2, the openssl command and PostgreSQL's own programs are used.
"""
