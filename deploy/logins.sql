-- Run once, by the database's image, as its superuser: the logins of the parts, none with a password.
-- Each shows a certificate of its own name (deploy/pg_hba.conf), and may do what its part does.
CREATE ROLE space_relay_owner NOLOGIN;
CREATE ROLE space_relay_ledger NOLOGIN;
CREATE ROLE space_relay_app NOLOGIN;
CREATE ROLE space_relay_public NOLOGIN;

CREATE ROLE migrator LOGIN;
CREATE ROLE server LOGIN;
CREATE ROLE worker LOGIN;
CREATE ROLE visitor LOGIN;

GRANT space_relay_owner, space_relay_ledger, space_relay_app, space_relay_public TO migrator;
GRANT space_relay_app TO server, worker;
GRANT space_relay_public TO visitor;

CREATE EXTENSION IF NOT EXISTS postgis;
CREATE EXTENSION IF NOT EXISTS btree_gist;
ALTER DATABASE space_relay OWNER TO migrator;
REVOKE CONNECT ON DATABASE space_relay FROM PUBLIC;
GRANT CONNECT ON DATABASE space_relay TO server, worker, visitor;

CREATE DATABASE space_relay_sandbox OWNER migrator;
REVOKE CONNECT ON DATABASE space_relay_sandbox FROM PUBLIC;
GRANT CONNECT ON DATABASE space_relay_sandbox TO server, worker;
\connect space_relay_sandbox
CREATE EXTENSION IF NOT EXISTS postgis;
CREATE EXTENSION IF NOT EXISTS btree_gist;
