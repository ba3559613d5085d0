import PGTypes
import RoutePlanning
import SQLSyntax
import Testing

@Suite struct PreparedStatementTests {
    private func prepare(_ sql: String) throws -> PrepareStatement {
        guard case .session(.prepare(let prepare)) = try Fixture.plan(sql).route else { throw Refusal(.unsupported) }
        return prepare
    }

    @Test func theStatementBehindASIsFoundWhateverStandsBefore() throws {
        for (sql, name, query, types) in [
            ("PREPARE p AS SELECT 1", "p", " SELECT 1", []),
            ("prepare \"As\" (int, numeric(10,2), text[]) as select $1", "As", " select $1", [23, 1700, 1009]),
            ("/* AS */ PREPARE p(\"char\", double precision) -- AS\n AS/**/VALUES ($1, 'AS')", "p", "/**/VALUES ($1, 'AS')", [18, 701]),
            ("PREPARE p (unknown) AS SELECT 'é' AS \"é\"", "p", " SELECT 'é' AS \"é\"", [0]),
            ("PREPARE é (timestamp with time zone) AS SELECT 1", "é", " SELECT 1", [1184]),
        ] as [(String, String, String, [UInt32])] {
            let prepare = try prepare(sql)
            #expect(prepare.name == name && prepare.query == query && prepare.types == types, "\(sql)")
            #expect(prepare.prefixLength == sql.unicodeScalars.count - query.unicodeScalars.count, "\(sql)")
        }
    }

    @Test func argumentsStandForTheParametersOfThePlan() throws {
        let text = "EXECUTE p(7, '8', NULL, 1 + 1, '{1,2}', 4.5)"
        guard case .session(.execute(let execute)) = try Fixture.plan(text).route else { throw Refusal(.unsupported) }
        #expect(execute.name == "p" && execute.arguments.count == 6 && execute.tailStart == 9)
        func sources(_ number: Int, _ type: KeyType, isArray: Bool = false) throws -> [KeySource] {
            try execute.sources(for: [isArray ? .parameterArray(number: number, type: type) : .parameter(number: number, type: type)])
        }
        #expect(try sources(1, .integer).count == 1 && sources(2, .integer).count == 1 && sources(2, .text).count == 1)
        #expect(throws: ExecuteArgumentError.null) { try sources(3, .integer) }
        #expect(throws: ExecuteArgumentError.refused(Refusal(.keyExpression, "argument 4 of EXECUTE"))) { try sources(4, .integer) }
        #expect(try sources(5, .integer, isArray: true) == [.constant(Array("1".utf8), type: .integer), .constant(Array("2".utf8), type: .integer)])
        // PostgreSQL would round 4.5, and make a text of 7: neither is the value that was written.
        #expect(throws: ExecuteArgumentError.refused(Refusal(.keyType, "argument 6 of EXECUTE"))) { try sources(6, .integer) }
        #expect(throws: ExecuteArgumentError.refused(Refusal(.keyType, "argument 1 of EXECUTE"))) { try sources(1, .text) }
    }

    @Test func anExecutesPlanFitsTheNextLiterals() throws {
        #expect(try Fixture.plan("EXECUTE p(1, 'a')").reuse == .shape && Fixture.plan("EXECUTE p('{1}')").reuse == .text)
        #expect(try Fixture.plan("EXECUTE p(1, 'a')").route == Fixture.plan("EXECUTE p(22, 'bcd')").route)
    }

    @Test func parametersAreCountedAsPostgreSQLDoes() {
        for (sql, declared, count) in [("SELECT 1", 0, 0), ("SELECT $1, $3", 0, 3), ("SELECT $1", 4, 4), ("SELECT '$9', $2::int", 0, 2)] {
            #expect(StatementPlanner.parameterCount(ofPrepared: Array(sql.utf8), declared: declared) == count, "\(sql)")
        }
    }
}
