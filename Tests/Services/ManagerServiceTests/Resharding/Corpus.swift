import ShardModel

/// Tables of every kind that a move has to do with.
struct Corpus: Sendable {
    var tables: [(name: QualifiedName, placement: Placement)]
    var schema: String
    var rows: String
    /// Gives the same text on two shards exactly when their reference tables are the same.
    var referenceDigest: String

    private static func name(_ name: String, _ schema: String = "public") -> QualifiedName { QualifiedName(schema: schema, name: name) }

    static let full = Corpus(
        tables: [
            (name("plain"), .sharded(key: "id")), (name("orders"), .sharded(key: "customer")), (name("by_text"), .sharded(key: "k")),
            (name("by_uuid"), .sharded(key: "u")), (name("parts"), .sharded(key: "id")), (name("whole"), .sharded(key: "id")),
            (name("Odd \"T", "My Schema"), .sharded(key: "the key")), (name("wide"), .sharded(key: "id")),
            (name("tally"), .sharded(key: "id")), (name("countries"), .reference), (name("notes_home"), .local), (name("not_there"), .sharded(key: "id")),
        ],
        schema: """
            CREATE TYPE mood AS ENUM ('sad', 'ok');
            CREATE SEQUENCE counted MINVALUE 1 MAXVALUE 1099511627775;
            CREATE TABLE countries (code text PRIMARY KEY, name text NOT NULL);
            CREATE TABLE plain (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0, note text, country text REFERENCES countries, at timestamptz DEFAULT '2020-01-01');
            CREATE INDEX plain_note ON plain (note);
            CREATE TABLE orders (customer int, nr int, twice int GENERATED ALWAYS AS (nr * 2) STORED, serial bigint GENERATED ALWAYS AS IDENTITY, m mood,
                PRIMARY KEY (nr, customer));
            CREATE TABLE by_text (k text PRIMARY KEY, v numeric(20, 4), c bigint DEFAULT nextval('counted'));
            CREATE TABLE by_uuid (u uuid PRIMARY KEY, v jsonb, b bytea);
            CREATE TABLE parts (id int, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
            CREATE TABLE parts_a PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2020-07-01');
            CREATE TABLE parts_b (v text, at date NOT NULL, id int NOT NULL); ALTER TABLE parts ATTACH PARTITION parts_b DEFAULT;
            CREATE TABLE whole (id int, v float8, p point); ALTER TABLE whole REPLICA IDENTITY FULL;
            CREATE SCHEMA "My Schema"; CREATE TABLE "My Schema"."Odd ""T" ("the key" int PRIMARY KEY, "n m" text, gone int);
            ALTER TABLE "My Schema"."Odd ""T" DROP COLUMN gone;
            CREATE TABLE wide (id int PRIMARY KEY, long text); ALTER TABLE wide ALTER long SET STORAGE EXTERNAL;
            CREATE TABLE tally (id bigint PRIMARY KEY, n int NOT NULL);
            CREATE TABLE fired (id bigint, shard text);
            CREATE FUNCTION on_plain() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.n := coalesce(NEW.n, 0) + 1000; RETURN NEW; END';
            CREATE TRIGGER on_plain BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION on_plain();
            CREATE TABLE notes_home (id int PRIMARY KEY, secret text); CREATE VIEW of_home AS SELECT id FROM notes_home;
            """,
        rows: """
            INSERT INTO countries SELECT 'c' || g, 'name ' || g FROM generate_series(1, 40) g;
            INSERT INTO plain (id, n, note, country) SELECT g, g, 'n' || g, 'c' || (1 + g % 40) FROM generate_series(1, 1500) g;
            INSERT INTO orders (customer, nr, m) SELECT g % 300, g, 'ok' FROM generate_series(1, 1200) g;
            INSERT INTO by_text (k, v) SELECT 'Schlüssel ' || g, g / 7.0 FROM generate_series(1, 500) g;
            INSERT INTO by_uuid SELECT md5(g::text)::uuid, jsonb_build_object('a', g), decode(md5(g::text), 'hex') FROM generate_series(1, 500) g;
            INSERT INTO parts SELECT g, date '2020-01-01' + g % 365, 'v' FROM generate_series(1, 900) g;
            INSERT INTO whole SELECT g % 150, g % 3, '(1,2)' FROM generate_series(1, 600) g;
            INSERT INTO "My Schema"."Odd ""T" SELECT g, 'x' FROM generate_series(1, 400) g;
            INSERT INTO wide SELECT g, repeat(md5(g::text), 300) FROM generate_series(1, 200) g;
            INSERT INTO tally SELECT g, 0 FROM generate_series(1, 300) g;
            INSERT INTO notes_home VALUES (1, 'stays at home');
            ANALYZE;
            """,
        referenceDigest: "SELECT count(*) || ' ' || md5(string_agg(c::text, ',' ORDER BY code COLLATE \"C\")) FROM countries c")
}
