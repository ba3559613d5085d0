import SessionCore
import Testing

@Suite struct SessionSettingsTests {
    private static func made(_ statements: (String, String)...) -> SessionSettings {
        var settings = SessionSettings()
        for (name, statement) in statements { settings.set(name, statement: statement) }
        return settings
    }

    @Test func onlyTheDifferenceIsMade() {
        let old = Self.made(("a", "SET a = 1"), ("b", "SET b = 1"))
        let new = Self.made(("a", "SET a = 1"), ("c", "SET c = 1"))
        #expect(new.statements(from: old) == ["RESET \"b\"", "SET c = 1"])
        #expect(new.statements(from: new) == [])
        #expect(SessionSettings().statements(from: old) == ["RESET \"a\"", "RESET \"b\""])
    }

    @Test func aLaterStatementTakesThePlaceOfAnEarlierOne() {
        let settings = Self.made(("a", "SET a = 1"), ("b", "SET b = 1"), ("A", "SET a = 2"))
        #expect(settings.count == 2)
        #expect(settings["a"] == "SET a = 2")
        #expect(settings.statements(from: SessionSettings()) == ["SET b = 1", "SET a = 2"])
    }

    /// A role need not have the right to set what its session has set.
    @Test func theRoleComesLastAndNothingElseIsSetUnderOne() {
        let role = ("role", "SET ROLE a"), other = ("role", "SET ROLE b"), x = ("x", "SET x = 1")
        #expect(Self.made(role, x).statements(from: SessionSettings()) == ["SET x = 1", "SET ROLE a"])
        #expect(Self.made(role, x).statements(from: Self.made(role)) == ["RESET \"role\"", "SET x = 1", "SET ROLE a"])
        #expect(Self.made(role, x).statements(from: Self.made(x, other)) == ["SET ROLE a"])
        #expect(Self.made(x, role).statements(from: Self.made(role, x)) == [])
        #expect(Self.made(x).statements(from: Self.made(role, x)) == ["RESET \"role\""])
        #expect(SessionSettings().statements(from: Self.made(role, x)) == ["RESET \"role\"", "RESET \"x\""])
    }

    /// To Swift these texts are equal, and to PostgreSQL they are not.
    @Test func valuesAndNamesAreTheirBytes() {
        let composed = Self.made(("app.t", "SET app.t = 'é'")), other = Self.made(("app.t", "SET app.t = 'e\u{301}'"))
        #expect(composed != other)
        // Sessions' settings are looked up by their hash: those of many tenants must not meet there.
        #expect(Set((0..<1000).map { Self.made(("app.t", "SET app.t = '\($0)'")).hashValue }).count > 990)
        #expect(other.statements(from: composed).map { Array($0.utf8) } == [Array("SET app.t = 'e\u{301}'".utf8)])
        #expect(Self.made(("role", "SET ROLE 'e\u{301}'")).statements(from: Self.made(("role", "SET ROLE 'é'"))).count == 1)
        #expect(Self.made(("datestyle", "SET datestyle = 'é'"), ("datestyle", "SET datestyle = 'e\u{301}'")).count == 2)
        #expect(Self.made(("app.É", "SET app.É = 1"), ("app.é", "SET app.é = 2"), ("APP.é", "SET APP.é = 3")).count == 2)
    }

    @Test func resetAllLeavesTheRole() {
        let start = Self.made(("role", "start"), ("x", "SET x = 1"))
        #expect(Self.made(("role", "SET ROLE a"), ("y", "SET y = 1")).resetAll(to: start) == Self.made(("x", "SET x = 1"), ("role", "SET ROLE a")))
        #expect(Self.made(("y", "SET y = 1")).resetAll(to: start) == Self.made(("x", "SET x = 1")))
    }

    @Test func namesOfExtensionsAreQuotedPartByPart() {
        #expect(SessionSettings().statements(from: Self.made(("my.x\"y", "SET ..."))) == ["RESET \"my\".\"x\"\"y\""])
    }

    @Test func resetMeansTheStartsOwnValue() {
        var start = SessionSettings()
        start.set("search_path", statement: "SET search_path = a", searchPath: ["a"])
        var settings = start
        settings.set("search_path", statement: "SET search_path = b", searchPath: ["b"])
        settings.set("x", statement: "SET x = 1")
        settings.restore("Search_Path", from: start)
        settings.restore("x", from: start)
        #expect(settings.searchPath == ["a"])
        #expect(settings["search_path"] == "SET search_path = a")
        #expect(settings == start)
        settings.reset("search_path")
        #expect(settings.searchPath == nil && settings.isEmpty)
    }

    /// A backend as far as these statements go: what a session ends up with must not depend on the backend it came to.
    private struct Backend: Equatable {
        var values: [String: String] = [:]

        mutating func run(_ statement: String) {
            let words = statement.split(separator: " ").map(String.init)
            if words[0] == "RESET" {
                values[words[1].filter { $0 != "\"" }] = nil
            } else if words[1] == "datestyle" {
                for part in words[3...] { values[["ISO", "SQL"].contains(part) ? "datestyle" : "datestyle order"] = part }
                return
            } else if words[1] == "CHARACTERISTICS" {
                for part in words[2...] { values[part == "SERIALIZABLE" ? "default_transaction_isolation" : "default_transaction_read_only"] = part }
            } else {
                values[words[1]] = words[3]
            }
            if statement == "RESET \"datestyle\"" { values["datestyle order"] = nil }
        }
    }

    @Test func everyBackendEndsUpWithWhatTheClientMade() {
        let alphabet = [
            ("datestyle", "SET datestyle = ISO"), ("datestyle", "SET datestyle = DMY"), ("datestyle", "SET datestyle = SQL MDY"),
            (SessionSettings.transactionCharacteristics, "SET CHARACTERISTICS SERIALIZABLE"),
            (SessionSettings.transactionCharacteristics, "SET CHARACTERISTICS READONLY"),
            ("default_transaction_isolation", "SET default_transaction_isolation = COMMITTED"),
            ("a", "SET a = 1"), ("a", "SET a = 2"),
        ]
        var sequences: [[(String, String)]] = [[]]
        for start in [0, 1] + Array(2..<(1 + alphabet.count + alphabet.count * alphabet.count)) {
            guard start < sequences.count, sequences[start].count < 3 else { continue }
            for letter in alphabet { sequences.append(sequences[start] + [letter]) }
        }
        let made = sequences.map { sequence -> (SessionSettings, Backend) in
            var (settings, direct) = (SessionSettings(), Backend())
            for (name, statement) in sequence {
                settings.set(name, statement: statement)
                direct.run(statement)
            }
            return (settings, direct)
        }
        for (old, before) in made.prefix(80) {
            for (new, wanted) in made {
                var backend = before
                for statement in new.statements(from: old) { backend.run(statement) }
                if backend != wanted { Issue.record("\(old) to \(new): \(backend) instead of \(wanted)"); return }
            }
        }
    }

    @Test func textsAreQuotedForEverySetting() {
        #expect(SessionSettings.assignment("a'b", "c\\") == "SELECT pg_catalog.set_config('a''b', E'c\\\\', false)")
        #expect(SessionSettings.assignment("a", "'\u{301}") == "SELECT pg_catalog.set_config('a', '''\u{301}', false)")
    }
}
