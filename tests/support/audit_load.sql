-- Fills an audit trail for tests: as superuser, months of rows in chains that audit.verify() finds whole. Set before:
--   SET load.rows = 100000; SET load.months = 12; SET load.streams = 8; SET load.clients = 20; SET load.keys = 500;
-- The months are those before the present one, in partitions of their own. Stream names begin with "load/".
DO $$
DECLARE
    months  constant integer := current_setting('load.months');
    streams constant integer := current_setting('load.streams');
    rows    constant integer := current_setting('load.rows')::integer / streams;
    clients constant integer := current_setting('load.clients');
    keys    constant integer := current_setting('load.keys');
    month0  constant timestamptz := (date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => months)) AT TIME ZONE 'UTC';
    span    constant interval := (now() - interval '1 minute') - month0;
    acts    constant text[] := '{Get,Get,Get,Get,Get Attributes,Locate,Check,Activate,Get,Get Attributes}';
    month   timestamp;
    part    text;
    client_ids uuid[];
    key_ids uuid[];
    stream_ids uuid[];
    before  bytea[];
    openings text[];
    s       audit.stream;
    e       audit.event;
    n       integer;
    zero    constant bytea := decode(repeat('00', 32), 'hex');
BEGIN
    FOR i IN 0 .. months - 1 LOOP
        month := month0 AT TIME ZONE 'UTC' + make_interval(months => i);
        part := 'event_' || to_char(month, 'YYYY_MM');
        EXECUTE format('SET LOCAL ROLE holdfast_owner; CREATE TABLE audit.%I PARTITION OF audit.event FOR VALUES FROM (%L) TO (%L); '
            'CREATE TRIGGER event_no_truncate BEFORE TRUNCATE ON audit.%I FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse(); '
            'COMMENT ON TABLE audit.%I IS %L; RESET ROLE', part, to_char(month, 'YYYY-MM-DD 00:00:00+00'),
            to_char(month + interval '1 month', 'YYYY-MM-DD 00:00:00+00'), part, part,
            'Audit rows of ' || to_char(month, 'YYYY-MM') || ' (UTC)');
    END LOOP;
    INSERT INTO policy.client (name, created_at) SELECT 'load-' || i, month0 FROM generate_series(1, clients) AS i;
    SELECT array_agg(id ORDER BY name) INTO client_ids FROM policy.client WHERE name LIKE 'load-%';
    SELECT array_agg(gen_random_uuid()) INTO key_ids FROM generate_series(1, keys);
    INSERT INTO kmip.object (uid, version, domain, owner, object_type, state, protection, algorithm, length, usage_mask,
        revocation_reason, key_format, initial_date, activation_date, deactivation_date, last_change_date, extractable,
        never_extractable, sensitive, always_sensitive, control_mac)
    SELECT key_ids[i], 1, 1, client_ids[1 + i % clients], 2, 2, 1, 3, 256, 12, 0, 1, extract(epoch FROM month0)::bigint,
        extract(epoch FROM month0)::bigint, extract(epoch FROM now())::bigint + i * 86400, extract(epoch FROM month0)::bigint,
        true, false, false, false, zero FROM generate_series(1, keys) AS i;
    FOR i IN 1 .. streams LOOP
        INSERT INTO audit.stream (id, opener, opened_at, seq, hash) VALUES
            (gen_random_uuid(), 'load/worker-' || i, month0, 0, zero) RETURNING * INTO s;
        stream_ids := stream_ids || s.id;
        before := before || zero;
        openings := openings || audit.opening_detail(s);
    END LOOP;
    -- in the order of their time, as a server writes them
    FOR j IN 1 .. rows LOOP
        FOR i IN 1 .. streams LOOP
            n := (j * 7919 + i * 104729) % 1000003;
            e := NULL;
            e.stream := stream_ids[i];
            e.previous := before[i];
            e.seq := j;
            e.at := month0 + span * ((j - 1)::double precision / rows);
            IF j = 1 THEN
                e.operation := 'Open Stream';
                e.detail := openings[i];
            ELSE
                e.client := client_ids[1 + n % clients];
                e.client_name := 'load-' || 1 + n % clients;
                e.fingerprint := repeat('ab', 32);
                e.address := '192.0.2.1:40000';
                e.protocol := '1.4';
                e.position := 0;
                e.operation := acts[1 + n % 10];
                e.object := key_ids[1 + n % (keys - keys / 10)];
                e.duration_us := 500 + n % 1000;
            END IF;
            e.result := CASE WHEN n % 50 = 7 AND j > 1 THEN 'Operation Failed' ELSE 'Success' END;
            e.reason := CASE WHEN n % 50 = 7 AND j > 1 THEN 'Item Not Found' END;
            e.hash := audit.row_hash(e);
            INSERT INTO audit.event VALUES (e.*);
            before[i] := e.hash;
        END LOOP;
    END LOOP;
    FOR i IN 1 .. streams LOOP
        UPDATE audit.stream SET seq = rows, hash = before[i] WHERE id = stream_ids[i];
    END LOOP;
END
$$;
ANALYZE audit.event, kmip.object, policy.client;
