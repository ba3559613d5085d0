import ControlAPI
import Secrets
import Testing

@Suite struct RevocationsTests {
    private func claims(_ id: String, _ name: String = "ada", at time: Double = 100) -> TokenClaims {
        TokenClaims(source: .cluster, subject: name, issuedAt: time, expiresAt: time + 600, id: id)
    }

    @Test func aRevokedTokenStaysSoUntilItWouldHaveExpired() throws {
        let one = try #require(Revocations().adding(.init(.token(id: "a"), until: 700), now: 100))
        #expect(one.covers(claims("a")) && !one.covers(claims("b")))
        let two = try #require(one.adding(.init(.token(id: "b"), until: 800), now: 699))
        #expect(two.covers(claims("a")) && two.covers(claims("b")))
        let three = try #require(two.adding(.init(.token(id: "c"), until: 900), now: 700))
        #expect(three.entries.count == 2 && !three.covers(claims("a")))
    }

    @Test func allOfAUsersTokensUntilAMomentAreRevoked() throws {
        let list = try #require(Revocations().adding(.init(.user(name: "ada", until: 150), until: 9999), now: 100))
        #expect(list.covers(claims("x", at: 150)) && !list.covers(claims("x", at: 150.001)) && !list.covers(claims("x", "bob", at: 1)))
        let later = try #require(list.adding(.init(.user(name: "ada", until: 200), until: 9999), now: 100))
        #expect(later.covers(claims("x", at: 200)))
    }

    @Test func theTextKeepsEverything() throws {
        var list = Revocations()
        for number in 0..<20 { list = try #require(list.adding(.init(.token(id: "t\(number)\"\\é"), until: 700.25), now: 1)) }
        list = try #require(list.adding(.init(.user(name: "ada", until: 150.125), until: 1e9), now: 1))
        #expect(Revocations(text: list.text) == list)
        #expect(Revocations(text: nil) == Revocations())
    }

    @Test(arguments: ["", "{}", "[1]", #"[{"jti":"a"}]"#, #"[{"until":1}]"#, #"[{"sub":"a","until":1}]"#])
    func aTextThatIsNotOursIsNotTakenForAnEmptyList(text: String) { #expect(Revocations(text: text) == nil) }

    @Test func beyondTheBoundNothingIsForgotten() throws {
        let entries = (0..<Revocations.entriesMax).map { #"{"jti":"t\#($0)","until":1000}"# }
        let full = try #require(Revocations(text: "[" + entries.joined(separator: ",") + "]"))
        #expect(full.adding(.init(.token(id: "more"), until: 1000), now: 999) == nil)
        // What is over makes room; what is there already needs none.
        #expect(full.adding(.init(.token(id: "more"), until: 2000), now: 1000)?.entries.count == 1)
        #expect(full.adding(.init(.token(id: "t5"), until: 2000), now: 999)?.entries.count == Revocations.entriesMax)
    }
}
