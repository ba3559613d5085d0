package import ShardModel

/// Gives each shard a slice of a sequence's values: the sequence there counts from the slice's first value to its last.
///
/// Only sequences that a slice can hold are sliced: of bigint, counting up without end. All others stay whole, and the router lets nothing but statements
/// of the home shard use them.
package enum SequenceSlicing {
    /// Of a row `q` of pg_sequence. As numeric, for the difference of two bounds may not fit into a bigint.
    static let isSliced = """
        (q.seqtypid = 20 AND q.seqincrement > 0 AND NOT q.seqcycle AND (q.seqmin::numeric - 1) % \(SequenceSlice.size) = 0 \
        AND q.seqmax::numeric - q.seqmin = \(SequenceSlice.size - 2))
        """

    /// In DETAIL where a new column's sequence has filled rows that were there before it was sliced.
    private static let rowsCode = "PGM-SEQUENCE-ROWS"

    /// Slices the sequences that are whole, in the transaction that has made them. What a sequence has given out already it does not give again.
    package static func statement(_ slice: SequenceSlice) -> String {
        """
        DO $pgmosaic$
        DECLARE
            whole record;
            at record;
        BEGIN
            FOR whole IN
                SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, q.seqstart AS start, q.seqincrement AS step
                FROM pg_catalog.pg_sequence q JOIN pg_catalog.pg_class c ON c.oid = q.seqrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                WHERE q.seqtypid = 20 AND q.seqincrement > 0 AND NOT q.seqcycle AND q.seqmin = 1 AND q.seqmax = 9223372036854775807
                  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pgmosaic') AND n.nspname !~ '^pg_(toast|temp)'
                  AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
                  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                                  WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
            LOOP
                EXECUTE 'SELECT last_value, is_called FROM ' || whole.name INTO at;
                -- Called before it was sliced, on a shard whose values are others: a new column has given them to the rows that were there.
                IF at.is_called AND \(slice.base) > 0 THEN
                    RAISE EXCEPTION 'rows that exist would get values of sequence % that repeat over the shards', whole.name USING
                        ERRCODE = 'object_not_in_prerequisite_state', DETAIL = '\(rowsCode)',
                        HINT = 'Make the sequence first, by CREATE SEQUENCE, and add the column with DEFAULT nextval(...) of it.';
                END IF;
                IF at.last_value >= \(SequenceSlice.size) - whole.step OR whole.start >= \(SequenceSlice.size) THEN
                    RAISE EXCEPTION 'sequence % counts beyond a slice of values', whole.name USING ERRCODE = 'object_not_in_prerequisite_state';
                END IF;
                EXECUTE pg_catalog.format('ALTER SEQUENCE %s MINVALUE %s MAXVALUE %s START %s RESTART %s', whole.name, \(slice.minimum), \(slice.maximum),
                    \(slice.base) + whole.start, \(slice.base) + at.last_value + CASE WHEN at.is_called THEN whole.step ELSE 0 END);
            END LOOP;
        END
        $pgmosaic$
        """
    }

    /// Gives a shard its own slice where the definitions were brought from another shard: each sequence begins there anew, where it began there.
    package static func statement(movingInto slice: SequenceSlice) -> String {
        """
        DO $pgmosaic$
        DECLARE
            sliced record;
        BEGIN
            FOR sliced IN
                SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, \(slice.base) + 1 + q.seqstart - q.seqmin AS start
                FROM pg_catalog.pg_sequence q JOIN pg_catalog.pg_class c ON c.oid = q.seqrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                WHERE \(isSliced)
            LOOP
                EXECUTE pg_catalog.format('ALTER SEQUENCE %s MINVALUE %s MAXVALUE %s START %s RESTART %s', sliced.name, \(slice.minimum), \(slice.maximum),
                    sliced.start, sliced.start);
            END LOOP;
        END
        $pgmosaic$
        """
    }
}
