-- as: session
-- Roles and the rights on the database itself. Runs as the user who migrates (superuser, or database
-- owner with CREATEROLE); safe to run again: roles are shared by all databases of a cluster.
DO $$
DECLARE
    wanted record;
BEGIN
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'the database must have the encoding UTF8, it has %', current_setting('server_encoding');
    END IF;
    IF current_setting('server_version_num')::int < 140000 THEN
        RAISE EXCEPTION 'PostgreSQL 14 or newer is needed';
    END IF;
    FOR wanted IN
        SELECT * FROM (VALUES
            ('holdfast_owner',    'NOLOGIN', 'Holdfast: owns schemas, tables and functions; nobody logs in as it'),
            ('holdfast_migrator', 'LOGIN',   'Holdfast: runs migrations, a member of holdfast_owner'),
            ('holdfast_server',   'LOGIN',   'Holdfast: the key server; no DDL, no DELETE, no TEMP'),
            ('holdfast_policy',   'LOGIN',   'Holdfast: administers clients through the functions of schema policy; sees no objects'),
            ('holdfast_auditor',  'LOGIN',   'Holdfast: reads and verifies the audit trail'),
            ('holdfast_backup',   'LOGIN',   'Holdfast: reads everything for dumps, changes nothing'))
        AS roles(name, login, what)
    LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted.name) THEN
            EXECUTE format('CREATE ROLE %I %s', wanted.name, wanted.login);
            EXECUTE format('COMMENT ON ROLE %I IS %L', wanted.name, wanted.what);
        END IF;
    END LOOP;
    IF NOT pg_catalog.pg_has_role('holdfast_migrator', 'holdfast_owner', 'MEMBER') THEN
        GRANT holdfast_owner TO holdfast_migrator;
    END IF;
    IF NOT pg_catalog.pg_has_role(current_user, 'holdfast_owner', 'MEMBER') THEN
        EXECUTE format('GRANT holdfast_owner TO %I', current_user);
    END IF;
    BEGIN
        GRANT pg_read_all_data TO holdfast_backup;
        ALTER ROLE holdfast_backup REPLICATION;
    EXCEPTION WHEN insufficient_privilege THEN
        RAISE NOTICE 'holdfast_backup got no REPLICATION: only a superuser may give it';
    END;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CREATE, CONNECT ON DATABASE %I TO holdfast_owner', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO holdfast_migrator, holdfast_server, holdfast_policy, holdfast_auditor, holdfast_backup', current_database());
END
$$;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
