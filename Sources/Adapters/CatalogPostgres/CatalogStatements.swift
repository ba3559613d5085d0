internal import CatalogStore

/// What a store says to the server. Each is one statement and a transaction of its own: a writer that is stopped in the middle of its work holds no
/// lock.
enum CatalogStatements {
    /// How a session begins. The server's and the role's own settings must not change what the statements mean, or how long they take.
    ///
    /// A commit that was acknowledged survives a crash of the server, also where the database says `synchronous_commit = off`.
    static func session(_ milliseconds: (statement: Int64, lock: Int64), listens: Bool) -> String {
        """
        SET search_path = ''; SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off;
        SET default_transaction_deferrable = off; SET statement_timeout = \(milliseconds.statement); SET lock_timeout = \(milliseconds.lock);
        SET idle_in_transaction_session_timeout = \(milliseconds.lock); SET client_min_messages = warning; SET client_encoding = 'UTF8';
        SELECT pg_catalog.set_config('synchronous_commit', 'on', false) WHERE pg_catalog.current_setting('synchronous_commit') = 'off';
        \(listens ? "LISTEN \(CatalogSchema.name)" : "")
        """
    }

    /// The one row of `catalog`, and the records that are newer than the epoch $1 of the cluster $2, or all of them where that epoch is too old to
    /// know what was deleted since. One statement sees one epoch.
    static let load = """
        SELECT c.format, c.epoch, c.nonce, c.commit_id, c.cluster_id, c.is_whole,
            (SELECT h.commit_id FROM pgmosaic_catalog.history h WHERE h.epoch = $1::bigint), r.kind, r.key, r.version, r.body, r.vnodes
        FROM (
            SELECT *, cluster_id <> $2::text OR $1::bigint < base_epoch OR $1::bigint < 0
                OR epoch - $1::bigint >= \(CatalogHistoryEntry.keptMin) AS is_whole
            FROM pgmosaic_catalog.catalog
        ) c
        LEFT JOIN pgmosaic_catalog.record r
            ON r.epoch > CASE WHEN c.is_whole THEN -1 ELSE $1::bigint END AND (r.body IS NOT NULL OR NOT c.is_whole)
        """

    /// To look for what to sweep out is to look at every record.
    private static let sweepInterval = 50

    /// Compare and set. Gives one row when it did.
    ///
    /// $1 the new epoch, $2 its commit id, $3 the nonce and $4 the commit id that were read, $5 the format; $6 … $10 the records: kind, key, version,
    /// body (NULL: deleted), vnodes (NULL: as they are); $11 the author and $12 the entry of the history; $13, $14, $15 name, holder and token of the lease it is written
    /// under (NULL: none); $16, $17 key and body of the answer that is kept with it (NULL: none).
    ///
    /// The lease's row is locked from the check to the end, in its newest version: whoever takes the lease waits for that, and sees this commit.
    ///
    /// Another writer's commit makes this one wait for the row and then find it changed. At each `sweepInterval`th epoch, records that were deleted
    /// `keptMin` epochs ago are swept out, unless this change puts them anew: one statement may not touch a row twice.
    static let commit = """
        WITH held AS MATERIALIZED (
            SELECT FROM pgmosaic_catalog.lease WHERE name = $13::text AND holder = $14::text AND token = $15::bigint FOR SHARE
        ), moved AS (
            UPDATE pgmosaic_catalog.catalog SET epoch = $1::bigint, nonce = nonce + 1, commit_id = $2::text
            WHERE epoch = $1::bigint - 1 AND nonce = $3::bigint AND commit_id = $4::text AND format = $5::integer
                AND ($13::text IS NULL OR EXISTS (SELECT FROM held))
            RETURNING epoch
        ), given AS (
            SELECT * FROM unnest($6::text[], $7::text[], $8::bigint[], $9::text[], $10::bytea[]) AS g(kind, key, version, body, vnodes)
        ), put AS (
            INSERT INTO pgmosaic_catalog.record AS r (kind, key, version, epoch, body, vnodes)
            SELECT g.kind, g.key, g.version, m.epoch, g.body, g.vnodes FROM moved m, given g
            ON CONFLICT (kind, key) DO UPDATE
                SET version = excluded.version, epoch = excluded.epoch, body = excluded.body,
                    vnodes = CASE WHEN excluded.body IS NOT NULL THEN coalesce(excluded.vnodes, r.vnodes) END
        ), swept AS (
            DELETE FROM pgmosaic_catalog.record r USING moved m
            WHERE $1::bigint % \(sweepInterval) = 0 AND r.epoch <= m.epoch - \(CatalogHistoryEntry.keptMin) AND r.body IS NULL
                AND NOT EXISTS (SELECT FROM given g WHERE g.kind = r.kind AND g.key = r.key)
        ), remembered AS (
            INSERT INTO pgmosaic_catalog.history (epoch, commit_id, "time", author, entry)
            SELECT m.epoch, $2::text, extract(epoch FROM pg_catalog.clock_timestamp()), $11::text, $12::text FROM moved m
        ), forgotten AS (
            DELETE FROM pgmosaic_catalog.history h USING moved m WHERE h.epoch <= m.epoch - \(CatalogHistoryEntry.keptMin)
        ), answered AS (
            INSERT INTO pgmosaic_catalog.answer (key, epoch, body) SELECT $16::text, m.epoch, $17::text FROM moved m WHERE $16::text IS NOT NULL
            ON CONFLICT (key) DO UPDATE SET epoch = excluded.epoch, body = excluded.body
        ), outdated AS (
            DELETE FROM pgmosaic_catalog.answer a USING moved m
            WHERE a.epoch <= m.epoch - \(KeptAnswer.keptMax) AND $16::text IS NOT NULL AND a.key <> $16::text
        )
        SELECT m.epoch, pg_catalog.pg_notify('\(CatalogSchema.name)', m.epoch::text) FROM moved m
        """

    /// As `commit`, for all of a catalog: $1 … $10 are the same but $5, the epoch that was read, with the format in $11; $12 is the cluster's id, and
    /// $13 … $16 the history: epochs, times (NULL: now), authors, entries.
    static let replace = """
        WITH moved AS (
            UPDATE pgmosaic_catalog.catalog
            SET epoch = $1::bigint, nonce = nonce + 1, commit_id = $2::text, base_epoch = $1::bigint, cluster_id = $12::text
            WHERE epoch = $5::bigint AND nonce = $3::bigint AND commit_id = $4::text AND format = $11::integer
            RETURNING epoch
        ), given AS (
            SELECT * FROM unnest($6::text[], $7::text[], $8::bigint[], $9::text[], $10::bytea[]) AS g(kind, key, version, body, vnodes)
        ), gone AS (
            DELETE FROM pgmosaic_catalog.record r USING moved m
            WHERE NOT EXISTS (SELECT FROM given g WHERE g.kind = r.kind AND g.key = r.key)
        ), put AS (
            INSERT INTO pgmosaic_catalog.record AS r (kind, key, version, epoch, body, vnodes)
            SELECT g.kind, g.key, g.version, m.epoch, g.body, g.vnodes FROM moved m, given g
            ON CONFLICT (kind, key) DO UPDATE
                SET version = excluded.version, epoch = excluded.epoch, body = excluded.body, vnodes = excluded.vnodes
        ), past AS (
            SELECT * FROM unnest($13::bigint[], $14::float8[], $15::text[], $16::text[]) AS h(epoch, "time", author, entry)
        ), unanswered AS (
            DELETE FROM pgmosaic_catalog.answer a USING moved m
        ), forgotten AS (
            DELETE FROM pgmosaic_catalog.history h USING moved m WHERE NOT EXISTS (SELECT FROM past p WHERE p.epoch = h.epoch)
        ), remembered AS (
            INSERT INTO pgmosaic_catalog.history AS h (epoch, commit_id, "time", author, entry)
            SELECT p.epoch, CASE WHEN p.epoch = m.epoch THEN $2::text ELSE 'copied' END,
                coalesce(p."time", extract(epoch FROM pg_catalog.clock_timestamp())), p.author, p.entry
            FROM moved m, past p
            ON CONFLICT (epoch) DO UPDATE
                SET commit_id = excluded.commit_id, "time" = excluded."time", author = excluded.author, entry = excluded.entry
        )
        SELECT m.epoch, pg_catalog.pg_notify('\(CatalogSchema.name)', m.epoch::text) FROM moved m
        """

    /// After this a commit on epoch $1, commit id $2 that is still on its way finds another nonce. Gives a row when the catalog is still there; none
    /// when it has moved on, by that commit or by another's. Waits for a commit that is being stored right now.
    static let fence = """
        UPDATE pgmosaic_catalog.catalog SET nonce = nonce + 1 WHERE epoch = $1::bigint AND commit_id = $2::text RETURNING nonce
        """

    static let commitID = "SELECT commit_id FROM pgmosaic_catalog.history WHERE epoch = $1::bigint"

    static let history = #"SELECT "time", entry FROM pgmosaic_catalog.history ORDER BY epoch DESC LIMIT $1::bigint"#

    /// $1 the key.
    static let answer = """
        SELECT body FROM pgmosaic_catalog.answer
        WHERE key = $1::text AND epoch > (SELECT c.epoch FROM pgmosaic_catalog.catalog c) - \(KeptAnswer.keptMax)
        """

    // MARK: leases and members

    /// $1 name: holder and token, while somebody holds it.
    static let lease = """
        SELECT holder, token FROM pgmosaic_catalog.lease WHERE name = $1::text AND holder IS NOT NULL AND ends_at > pg_catalog.statement_timestamp()
        """

    /// $1 name, $2 holder, $3 token: a row where nobody has had the lease since.
    static let isHeld = "SELECT FROM pgmosaic_catalog.lease WHERE name = $1::text AND holder = $2::text AND token = $3::bigint"

    // By the server's clock, read once for a statement: a second look at it could make a lease end between the two.

    /// $1 name, $2 holder, $3 milliseconds. Gives the token; no row while somebody else holds the lease.
    static let acquireLease = """
        INSERT INTO pgmosaic_catalog.lease AS l (name, holder, token, ends_at)
        VALUES ($1::text, $2::text, 1, pg_catalog.statement_timestamp() + $3::bigint * interval '1 millisecond')
        ON CONFLICT (name) DO UPDATE SET
            token = CASE WHEN l.holder = $2::text AND l.ends_at > pg_catalog.statement_timestamp() THEN l.token ELSE l.token + 1 END,
            holder = excluded.holder, ends_at = excluded.ends_at
        WHERE l.holder IS NULL OR l.holder = $2::text OR l.ends_at <= pg_catalog.statement_timestamp()
        RETURNING token
        """

    /// $1 name, $2 holder, $3 token.
    static let releaseLease = """
        UPDATE pgmosaic_catalog.lease SET holder = NULL WHERE name = $1::text AND holder = $2::text AND token = $3::bigint
        """

    /// $1 id, $2 the record, $3 milliseconds. Sweeps out others whose time is over, without waiting for one who renews.
    static let announce = """
        WITH swept AS (
            DELETE FROM pgmosaic_catalog.member WHERE id IN (
                SELECT id FROM pgmosaic_catalog.member WHERE ends_at <= pg_catalog.statement_timestamp() AND id <> $1::text FOR UPDATE SKIP LOCKED)
        )
        INSERT INTO pgmosaic_catalog.member (id, body, ends_at)
        VALUES ($1::text, $2::text, pg_catalog.statement_timestamp() + $3::bigint * interval '1 millisecond')
        ON CONFLICT (id) DO UPDATE SET body = excluded.body, ends_at = excluded.ends_at
        """

    static let withdraw = "DELETE FROM pgmosaic_catalog.member WHERE id = $1::text"

    static let members = "SELECT body FROM pgmosaic_catalog.member WHERE ends_at > pg_catalog.statement_timestamp() ORDER BY id"
}
