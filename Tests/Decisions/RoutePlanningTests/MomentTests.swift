import RoutePlanning
import Testing

/// now() and its like in statements for several shards: one moment, written into the text.
@Suite struct MomentTests {
    private static func text(_ sql: String, _ types: [UInt32] = []) -> String {
        do throws(Refusal) {
            let use = try StatementPlanner.moment(bytes: Array(sql.utf8), parameterTypes: types, context: Fixture.context())
            return String(decoding: use.text(Array(sql.utf8), transaction: "T", statement: "S"), as: UTF8.self)
        } catch { return "\(error.code.rawValue) \(error.subject)" }
    }

    @Test(arguments: [
        ("UPDATE orders SET placed_at = now()", "UPDATE orders SET placed_at = ('T+00'::pg_catalog.timestamptz)"),
        ("UPDATE orders SET placed_at = pg_catalog . now ( ) - interval '1 day', total = 2", "UPDATE orders SET placed_at = ('T+00'::pg_catalog.timestamptz) - interval '1 day', total = 2"),
        ("DELETE FROM orders WHERE placed_at < CURRENT_DATE -1", "DELETE FROM orders WHERE placed_at < ('T+00'::pg_catalog.timestamptz::pg_catalog.date) -1"),
        ("UPDATE orders SET note = current_timestamp(3)::text || localtime", "UPDATE orders SET note = ('T+00'::pg_catalog.timestamptz::pg_catalog.timestamptz(3))::text || ('T+00'::pg_catalog.timestamptz::pg_catalog.time)"),
        ("UPDATE orders SET placed_at = statement_timestamp() WHERE placed_at < /* now() */ transaction_timestamp() AND note <> 'now()'", "UPDATE orders SET placed_at = ('S+00'::pg_catalog.timestamptz) WHERE placed_at < /* now() */ ('T+00'::pg_catalog.timestamptz) AND note <> 'now()'"),
        ("UPDATE orders SET total = 1 RETURNING now(), CURRENT_DATE, id, now() AS n, to_char(now(), 'YY')", "UPDATE orders SET total = 1 RETURNING ('T+00'::pg_catalog.timestamptz) AS now, ('T+00'::pg_catalog.timestamptz::pg_catalog.date) AS current_date, id, ('T+00'::pg_catalog.timestamptz) AS n, to_char(('T+00'::pg_catalog.timestamptz), 'YY')"),
        ("INSERT INTO orders (id, customer_id, placed_at) VALUES (1, 2, now()), (2, 3, LOCALTIMESTAMP(0))", "INSERT INTO orders (id, customer_id, placed_at) VALUES (1, 2, ('T+00'::pg_catalog.timestamptz)), (2, 3, ('T+00'::pg_catalog.timestamptz::pg_catalog.timestamp(0)))"),
        // Each row has its own.
        ("UPDATE orders SET placed_at = clock_timestamp()", "UPDATE orders SET placed_at = clock_timestamp()"),
        ("UPDATE orders SET note = 'now' WHERE note IN ('today', 'tomorrow')", "UPDATE orders SET note = 'now' WHERE note IN ('today', 'tomorrow')"),
    ])
    func theMomentIsWrittenInItsPlace(_ sql: String, _ made: String) { #expect(Self.text(sql) == made) }

    @Test(arguments: [
        ("UPDATE orders SET placed_at = 'now'", "PGM-MANY-SHARDS a text that names the present"), ("UPDATE orders SET note = age(placed_at)::text", "PGM-MANY-SHARDS age() of one value"),
        ("DELETE FROM orders WHERE placed_at::date = 'today'", "PGM-MANY-SHARDS a text that names the present"), ("UPDATE orders SET placed_at = n FROM now() n", "PGM-MANY-SHARDS now() in FROM"),
        ("UPDATE orders SET total = 1 RETURNING now()::date", "PGM-MANY-SHARDS now() in RETURNING without a name"),
    ])
    func whatHasNoPlaceIsRefused(_ sql: String, _ refusal: String) { #expect(Self.text(sql) == refusal) }

    @Test func whatAsksForItIsKnown() throws {
        #expect(try Fixture.plan("UPDATE orders SET placed_at = now() WHERE customer_id = 5").readsMoment)
        #expect(try Fixture.plan("SELECT CURRENT_TIMESTAMP").readsMoment)
        #expect(try !Fixture.plan("SELECT clock_timestamp(), 'now()'").readsMoment)
    }

    @Test func aQuickLookMissesNothing() {
        for text in ["Now()", "CURRENT_DATE", "localtime", "LOCALTIMESTAMP", "'today'", "transaction_timestamp()", "age(x)"] { #expect(MomentUse.isPossible(in: text.utf8)) }
        for text in ["UPDATE a SET n = 1", "", "no", "CURRENT", "n\u{f6}w", "yesterda"] { #expect(!MomentUse.isPossible(in: text.utf8)) }
        // Not only at the beginning of a text that is in one piece.
        let long = Array(repeating: UInt8(ascii: "n"), count: 10000)
        #expect(!MomentUse.isPossible(in: long) && MomentUse.isPossible(in: long + "OW".utf8) && MomentUse.isPossible(in: AnyCollection(long + "OW".utf8)))
    }
}
