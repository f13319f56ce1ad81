-- A database and a user for every service: none can read or write what is another's.
-- Runs once, when the server's volume is empty. The passwords are for one machine; the port is not published.
CREATE ROLE "customer" LOGIN PASSWORD 'customer';
CREATE ROLE "catalog" LOGIN PASSWORD 'catalog';
CREATE ROLE "order" LOGIN PASSWORD 'order';
CREATE ROLE "packing" LOGIN PASSWORD 'packing';
CREATE ROLE "dispatch" LOGIN PASSWORD 'dispatch';
CREATE ROLE "crm" LOGIN PASSWORD 'crm';
CREATE ROLE "reporting" LOGIN PASSWORD 'reporting';
CREATE ROLE "console" LOGIN PASSWORD 'console';
-- Those with an outbox may have it streamed (OUTBOX=cdc), each from its own database: none can connect to another's.
ALTER ROLE "catalog" REPLICATION;
ALTER ROLE "packing" REPLICATION;
ALTER ROLE "dispatch" REPLICATION;
CREATE DATABASE "customer" OWNER "customer";
CREATE DATABASE "catalog" OWNER "catalog";
CREATE DATABASE "order" OWNER "order";
CREATE DATABASE "packing" OWNER "packing";
CREATE DATABASE "dispatch" OWNER "dispatch";
CREATE DATABASE "crm" OWNER "crm";
CREATE DATABASE "reporting" OWNER "reporting";
CREATE DATABASE "console" OWNER "console";
REVOKE CONNECT ON DATABASE "customer" FROM PUBLIC;
REVOKE CONNECT ON DATABASE "catalog" FROM PUBLIC;
REVOKE CONNECT ON DATABASE "order" FROM PUBLIC;
REVOKE CONNECT ON DATABASE "packing" FROM PUBLIC;
REVOKE CONNECT ON DATABASE "dispatch" FROM PUBLIC;
REVOKE CONNECT ON DATABASE "crm" FROM PUBLIC;
REVOKE CONNECT ON DATABASE "reporting" FROM PUBLIC;
REVOKE CONNECT ON DATABASE "console" FROM PUBLIC;
