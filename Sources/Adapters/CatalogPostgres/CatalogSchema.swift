/// The catalog's tables, and how they came to be: a format for each step.
struct CatalogSchema: Sendable {
    static let name = "pgmosaic_catalog"
    static let current = CatalogSchema(steps: [first, second])

    /// The step from each format to the next. A released one never changes: what a later version needs is a further step.
    let steps: [String]
    /// The format that all of the steps lead to.
    var format: Int { steps.count }

    /// What is read of the one row of `catalog` stays as it is in every format: an older version can so tell that it is one.
    ///
    /// - `nonce` changes with each commit, and with each look for a commit that got no answer: a commit names the one it read.
    /// - `commit_id` is drawn by the writer of an epoch, so that two epochs of one number are told apart.
    /// - `base_epoch` is the epoch as of which everything was replaced: who knows an older one reads it all.
    /// - A record's epoch is that of its last change. One without a body was deleted; it stays for as long as the history does, so that a reader
    ///   who asks for what is newer learns of it.
    private static let first = """
        CREATE TABLE pgmosaic_catalog.catalog (
            id integer PRIMARY KEY CHECK (id = 1), format integer NOT NULL, epoch bigint NOT NULL, nonce bigint NOT NULL, commit_id text NOT NULL,
            base_epoch bigint NOT NULL, cluster_id text NOT NULL
        );
        CREATE TABLE pgmosaic_catalog.record (
            kind text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, version bigint NOT NULL, epoch bigint NOT NULL, body text, vnodes bytea,
            PRIMARY KEY (kind, key)
        );
        CREATE INDEX record_by_epoch ON pgmosaic_catalog.record (epoch);
        CREATE TABLE pgmosaic_catalog.history (
            epoch bigint PRIMARY KEY, commit_id text NOT NULL, "time" double precision NOT NULL, author text NOT NULL, entry text NOT NULL
        );
        CREATE TABLE pgmosaic_catalog.lease (name text COLLATE "C" PRIMARY KEY, holder text, token bigint NOT NULL, ends_at timestamptz NOT NULL);
        CREATE TABLE pgmosaic_catalog.member (id text COLLATE "C" PRIMARY KEY, ends_at timestamptz NOT NULL, body text NOT NULL);
        INSERT INTO pgmosaic_catalog.catalog (id, format, epoch, nonce, commit_id, base_epoch, cluster_id)
            VALUES (1, 1, 0, 0, 'none', 0, 'none');
        """

    /// Answers to requests, with the epochs of their changes. Who may write records, routers with roles of their own, may write these: a commit names both.
    private static let second = """
        CREATE TABLE pgmosaic_catalog.answer (key text COLLATE "C" PRIMARY KEY, epoch bigint NOT NULL, body text NOT NULL);
        CREATE INDEX answer_by_epoch ON pgmosaic_catalog.answer (epoch);
        DO $grant$
        DECLARE
            grantee text;
        BEGIN
            FOR grantee IN
                SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END
                FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
                WHERE c.oid = 'pgmosaic_catalog.record'::pg_catalog.regclass AND a.privilege_type = 'INSERT' AND a.grantee <> c.relowner
            LOOP
                EXECUTE 'GRANT SELECT, INSERT, UPDATE, DELETE ON pgmosaic_catalog.answer TO ' || grantee;
            END LOOP;
        END
        $grant$;
        """
}
